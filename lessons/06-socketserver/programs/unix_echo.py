#!/usr/bin/env python3
"""Echoes at a path: `unix_echo.py stream PATH` with connections, `datagram PATH` with datagrams."""

import contextlib
import socketserver
import sys


class StreamEcho(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        while heard := self.request.recv(1024):
            self.wfile.write(heard)


class DatagramEcho(socketserver.DatagramRequestHandler):
    def handle(self) -> None:
        self.wfile.write(self.rfile.read())


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in ("stream", "datagram"):
        print("usage: unix_echo.py stream|datagram PATH", file=sys.stderr)
        sys.exit(2)
    with contextlib.suppress(KeyboardInterrupt):
        path = sys.argv[2]
        server: socketserver.BaseServer
        if sys.argv[1] == "stream":
            server = socketserver.UnixStreamServer(path, StreamEcho)
        else:
            server = socketserver.UnixDatagramServer(path, DatagramEcho)
        with server:
            print(f"listening on {path}", flush=True)
            server.serve_forever()
