#!/usr/bin/env python3
"""Each request has a process, and is told its number. The port is the kernel's choice."""

import contextlib
import os
import socketserver


class ChildHandler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        line = self.rfile.readline(1024)
        self.wfile.write(b"process %d: %s" % (os.getpid(), line))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        with socketserver.ForkingTCPServer(("127.0.0.1", 0), ChildHandler) as server:
            print("listening on {}:{}".format(*server.server_address), flush=True)
            server.serve_forever()
