#!/usr/bin/env python3
"""A server that answers each line in upper case: the smallest one on TCP."""

import contextlib
import socketserver


class UpperHandler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        while line := self.rfile.readline(1024):
            self.wfile.write(line.upper())


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        with socketserver.TCPServer(("127.0.0.1", 0), UpperHandler) as server:
            print("listening on {}:{}".format(*server.server_address), flush=True)
            server.serve_forever()
