#!/usr/bin/env python3
"""Greets each caller with their address and the date, and answers lines until `exit`."""

import contextlib
import socketserver
import time


class GreetingHandler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        host, port = self.client_address
        self.wfile.write(f"Connection {host}:{port} at {time.ctime()} succeed!\n".encode())
        while (line := self.rfile.readline(1024)) not in (b"", b"exit\n"):
            self.wfile.write(line)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        with socketserver.ThreadingTCPServer(("127.0.0.1", 0), GreetingHandler) as server:
            print("listening on {}:{}".format(*server.server_address), flush=True)
            server.serve_forever()
