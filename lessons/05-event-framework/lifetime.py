#!/usr/bin/env python3
"""Step 8 is wrong on purpose: a connection ends in the middle of its own call. Give this program
a step 8 that was built with AddressSanitizer. It says one word too many to it, and wants to read
`heap-use-after-free`, in the function that went on."""

import argparse
import socket
import subprocess
import sys


def what_it_says(server: str) -> str:
    with subprocess.Popen(
        [server], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            port = int(process.stdout.readline().rpartition(":")[2])
            with socket.create_connection(("127.0.0.1", port), 10) as caller:
                caller.sendall(b"slam\nmore\n")
                return process.communicate(timeout=30)[1]
        finally:
            process.kill()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("server")
    report = what_it_says(parser.parse_args().server)
    if "heap-use-after-free" in report and "LineReceiver::deliver" in report:
        return 0
    print(
        f"AddressSanitizer was to find a use after free in LineReceiver::deliver(), not:\n{report}"
    )
    return 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
