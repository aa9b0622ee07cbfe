#!/usr/bin/env python3
"""Says which functions a request comes by, and in which thread: `trace.py SCENE`. trace.cpp does
the same with the classes of this lesson, and a test compares the two."""

import socket
import socketserver
import sys
import threading
from typing import Any

SCENES = ("plain", "threading", "udp", "refused", "thrown", "timeout")
serving: list[str] = []  # called in the thread that serves
handling: list[str] = []  # in that of a request


def passed(function: str) -> None:
    here = threading.current_thread() is threading.main_thread()
    functions = serving if here else handling
    if functions[-1:] != [function]:
        functions.append(function)


def traced(base: type, names: list[str], indent: str = "") -> Any:
    """A class derived from this one, in which these functions say that they are called."""

    def telling(name: str) -> Any:
        def function(self: Any, *arguments: Any) -> Any:
            passed(indent + name)
            return getattr(super(made, self), name)(*arguments)

        return function

    made: Any = type("Traced", (base,), {name: telling(name) for name in names})
    return made


def handle(self: Any) -> None:
    line = self.rfile.readline()
    if line == b"throw\n":
        raise RuntimeError("the handler was asked to throw")
    self.wfile.write(line)


def handler_class(base: type) -> Any:
    talking = type("Handler", (base,), {"handle": handle})
    return traced(talking, ["setup", "handle", "finish"], "  ")


def server_class(scene: str) -> Any:
    base: Any = socketserver.TCPServer
    if scene == "threading":
        base = socketserver.ThreadingTCPServer
    elif scene == "udp":
        base = socketserver.UDPServer
    names = """server_bind server_activate server_close get_request verify_request process_request
        finish_request shutdown_request close_request handle_timeout service_actions""".split()
    if scene == "threading":
        names.append("process_request_thread")
    hooks: dict[str, Any] = {"handle_error": lambda *_: passed("handle_error")}
    if scene == "refused":
        hooks["verify_request"] = lambda *_: False
    return traced(type("Server", (base,), hooks), names)


def play(scene: str) -> None:
    is_udp = scene == "udp"
    base = socketserver.DatagramRequestHandler if is_udp else socketserver.StreamRequestHandler
    with server_class(scene)(("127.0.0.1", 0), handler_class(base)) as server:
        if scene == "timeout":
            server.timeout = 0.05
            server.handle_request()
            return
        with socket.socket(socket.AF_INET, server.socket_type) as client:
            client.settimeout(10)
            client.connect(server.server_address)
            client.send(b"throw\n" if scene == "thrown" else b"hello\n")

            def wait() -> None:
                client.recv(100)
                server.shutdown()

            waiting = threading.Thread(target=wait)
            waiting.start()
            server.serve_forever(0.05)
            waiting.join()


def main() -> int:
    if len(sys.argv) != 2 or sys.argv[1] not in SCENES:
        print(f"usage: trace.py {'|'.join(SCENES)}", file=sys.stderr)
        return 2
    play(sys.argv[1])
    print("in the thread that serves:", *serving, sep="\n    ")
    if handling:
        print("in the thread of the request:", *handling, sep="\n    ")
    return 0


if __name__ == "__main__":
    sys.exit(main())
