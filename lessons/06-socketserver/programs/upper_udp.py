#!/usr/bin/env python3
"""A server that answers each datagram in upper case, without the blanks around it."""

import contextlib
import socketserver


class UpperHandler(socketserver.DatagramRequestHandler):
    def handle(self) -> None:
        self.wfile.write(self.rfile.read().strip().upper())


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        with socketserver.UDPServer(("127.0.0.1", 0), UpperHandler) as server:
            print("listening on {}:{}".format(*server.server_address), flush=True)
            server.serve_forever()
