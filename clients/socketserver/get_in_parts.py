#!/usr/bin/env python3
"""Fetch a file from the file server of lesson 06 in several parts at once, and put them together.

Each part has a connection of its own, and so a thread of the server. First we ask how large the file
is and which content it has now (its tag). If it changes while we fetch, the tags differ, and we say so
instead of mixing the old and the new.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from talk import Parser, TalkError, run, whom_to_call

MOST = 64  # parts


class Part(NamedTuple):
    first: int
    last: int  # this byte included, as HTTP has it
    content: bytes = b""
    took: float = 0


def ask(
    options: argparse.Namespace, method: str, fields: dict[str, str]
) -> tuple[http.client.HTTPResponse, bytes]:
    """One request on a connection of its own; its timeout is for each thing that we wait for."""
    line = http.client.HTTPConnection(options.host, options.port, timeout=options.timeout)
    try:
        # What is no character of a target is sent as %XX (RFC 3986); what is given so, stays so.
        target = quote(os.fsencode(options.target), safe="/?%&=:+,;@!$'()*~")
        line.request(method, target, headers=fields)
        response = line.getresponse()
        return response, response.read()
    except http.client.IncompleteRead as error:
        raise TalkError(f"the server hung up after {len(error.partial):,} bytes") from None
    except (http.client.HTTPException, OSError) as error:
        where = f"{options.host}:{options.port}"
        raise TalkError(f"no answer from {where}: {error or type(error).__name__}") from None
    finally:
        line.close()


def parts_of(size: int, count: int) -> list[Part]:
    edges = [size * number // count for number in range(count + 1)]
    return [Part(first, end - 1) for first, end in zip(edges, edges[1:]) if first < end]


def fetch(options: argparse.Namespace, part: Part, tag: str) -> Part:
    start = time.monotonic()
    fields = {"Range": f"bytes={part.first}-{part.last}", "If-Range": tag}
    response, content = ask(options, "GET", fields)
    if response.status == 200:
        raise TalkError("the file has changed while we fetched it, or the server knows no parts")
    if response.status != 206 or len(content) != part.last - part.first + 1:
        raise TalkError(f"bytes {part.first}-{part.last}: {response.status} {response.reason}")
    return part._replace(content=content, took=time.monotonic() - start)


def main() -> int:
    parser = Parser(__doc__, whom_to_call())
    parser.add_argument("target", help="what to fetch, such as /pictures/callers.svg")
    parser.add_argument("--parts", type=int, default=4, metavar="N", help="how many (%(default)s)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="where to keep it")
    options = parser.parse_args()
    if not 1 <= options.parts <= MOST:
        parser.error(f"--parts takes a number from 1 to {MOST}")

    head, _ = ask(options, "HEAD", {})
    if head.status != 200 or not head.headers["ETag"]:
        raise TalkError(f"{options.target} is no file: {head.status} {head.reason}")
    size, tag = int(head.headers["Content-Length"]), head.headers["ETag"]
    with ThreadPoolExecutor(options.parts) as threads:
        parts = parts_of(size, options.parts)
        parts = list(threads.map(lambda part: fetch(options, part, tag), parts))
    for part in parts:
        print(f"bytes {part.first:,} to {part.last:,}: {part.took * 1000:.1f} ms")
    content = b"".join(part.content for part in parts)
    print(f"{len(content):,} bytes, sha256 {hashlib.sha256(content).hexdigest()}")
    if options.output:
        options.output.write_bytes(content)
    return 0


if __name__ == "__main__":
    run(main)
