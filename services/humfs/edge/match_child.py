"""The program that runs one regular expression: a child of `edge.matcher`, started as a script.

It reads frames from standard input and answers each on standard output, in the format that
`edge.matcher` describes. It opens nothing, and limits itself before it compiles anything. Its
parent kills it when time is over.
"""

import re
import resource
import struct
import sys

MEMORY_BYTES_MAX = 512 * 1024 * 1024
CPU_SECONDS_MAX = 12
HITS_KEPT_MAX = 2_000
"""Hits sent with their line; later ones are only counted."""
LINE_CHARS_MAX = 1_000
"""Characters of a line sent, around the match."""

LENGTH = struct.Struct("<I")
PIECE = struct.Struct("<III")
"""File, number of the first line, length of the lines that follow."""
COUNT = struct.Struct("<II")
"""File, hits in it."""
HIT = struct.Struct("<IIIIIII")
"""File, line, byte of the match in its line; its character in the text; characters left out
before and after the text; length of the text."""


def limit_myself() -> None:
    """Bound memory, processor time and handles: an expression is hostile input."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS_MAX, CPU_SECONDS_MAX))
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))


def read_frame() -> bytes | None:
    """The next frame; None at the end of input."""
    head = sys.stdin.buffer.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    return sys.stdin.buffer.read(LENGTH.unpack(head)[0])


def write_frame(body: bytes) -> None:
    """Answer the frame before."""
    sys.stdout.buffer.write(LENGTH.pack(len(body)) + body)
    sys.stdout.buffer.flush()


def packed_hit(file: int, line: int, text: str, start: int) -> bytes:
    """One hit, its line cut around the match."""
    at = len(text[:start].encode("utf-8", "surrogateescape"))
    first = max(0, min(start - LINE_CHARS_MAX // 3, len(text) - LINE_CHARS_MAX))
    kept = text[first : first + LINE_CHARS_MAX]
    sent = kept.encode("utf-8", "surrogateescape")
    return (
        HIT.pack(file, line, at, start - first, first, len(text) - first - len(kept), len(sent))
        + sent
    )


def main() -> None:
    """Serve frames until the input ends."""
    limit_myself()
    expression, literal = read_frame(), read_frame()
    if expression is None or literal is None:
        return
    search = re.compile(expression.decode()).search
    needed = literal.decode()
    kept = 0
    while (frame := read_frame()) is not None:
        counts: dict[int, int] = {}
        hits = []
        at = 0
        while at < len(frame):
            file, line, length = PIECE.unpack_from(frame, at)
            at += PIECE.size
            lines = frame[at : at + length].decode("utf-8", "surrogateescape")
            at += length
            if needed not in lines:
                continue
            for number, text in enumerate(lines.removesuffix("\n").split("\n"), start=line):
                match = search(text.removesuffix("\r"))
                if match is None:
                    continue
                counts[file] = counts.get(file, 0) + 1
                if kept < HITS_KEPT_MAX:
                    kept += 1
                    hits.append(packed_hit(file, number, text.removesuffix("\r"), match.start()))
        counted = b"".join(COUNT.pack(*one) for one in counts.items())
        write_frame(LENGTH.pack(len(counts)) + counted + b"".join(hits))


if __name__ == "__main__":
    main()
