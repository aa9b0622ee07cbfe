#!/usr/bin/env python3
"""Greets each client with the server's address and the date, and answers lines until `exit`."""

import contextlib
import socketserver
import time


class GreetingHandler(socketserver.StreamRequestHandler):
    server: socketserver.TCPServer

    def handle(self) -> None:
        address = "{}:{}".format(*self.server.server_address)
        self.wfile.write(f"Connection {address} at {time.ctime()} succeed!\n".encode())
        while (line := self.rfile.readline(1024)) not in (b"", b"exit\n"):
            self.wfile.write(line)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        with socketserver.ThreadingTCPServer(("127.0.0.1", 0), GreetingHandler) as server:
            print("listening on {}:{}".format(*server.server_address), flush=True)
            server.serve_forever()
