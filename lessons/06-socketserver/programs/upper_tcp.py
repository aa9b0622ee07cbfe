#!/usr/bin/env python3
"""A server that answers each line in upper case, without the blanks around it: the smallest one on
TCP. (The example in Python's documentation answers one line, and its end is the end of the
connection. Here there may be many, so each answer ends with a newline.)"""

import contextlib
import socketserver


class UpperHandler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        while line := self.rfile.readline(1024):
            self.wfile.write(line.strip().upper() + b"\n")


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        with socketserver.TCPServer(("127.0.0.1", 0), UpperHandler) as server:
            print("listening on {}:{}".format(*server.server_address), flush=True)
            server.serve_forever()
