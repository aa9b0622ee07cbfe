#!/usr/bin/env python3
"""A server in the background: each request has a thread, and is told its number. When three have
been served, the main thread shuts the server down."""

import contextlib
import socketserver
import threading

served = threading.Semaphore(0)


class ThreadHandler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        line = self.rfile.readline(1024)
        self.wfile.write(b"thread %d: %s" % (threading.get_native_id(), line))

    def finish(self) -> None:
        super().finish()
        served.release()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        with socketserver.ThreadingTCPServer(("127.0.0.1", 0), ThreadHandler) as server:
            print("listening on {}:{}".format(*server.server_address), flush=True)
            background = threading.Thread(target=server.serve_forever, daemon=True)
            background.start()
            for _ in range(3):
                served.acquire()
            server.shutdown()
            background.join()
        print("three were served, and the server is shut down")
