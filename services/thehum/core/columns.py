"""Lines of the log, taken apart into columns, and put together again byte for byte.

Most of what a log says, it says in every line. So a run of lines is split at its JSON values: what
stands between them is the **shape** of a line, and the values that the lines of one shape have at
one place are a **column**. Text that all values of a column begin or end with, or all of a value
that never changes, belongs to the shape. Of the rest is kept:

| column | as |
|---|---|
| the hash of the line before, `prev_hash` | nil: it is computed again |
| the same as an earlier column of the shape | the number of that column |
| integers | an array: the first one and the differences |
| 128 hex digits, signatures | true: 64 bytes each, apart from the rest, for they do not compress |
| anything else | bytes: the values with newlines between them |

A run is msgpack: `[hash, order, shapes]`. `hash` is the `prev_hash` of its first line, 32 bytes;
`order` says of which shape each line is; a shape is `[pieces, columns]`, and a line of it piece,
value, piece, value, ..., piece. No line is parsed here: whatever the pattern takes for a value,
pieces and values give back the line, and who splits compares (`core.sealed`).
"""

import hashlib
import re
from binascii import hexlify, unhexlify
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any

import msgpack

from thrum.errors import LocalError

HASH_BYTES = 32
SIGNATURE_BYTES = 64
"""Of one that is kept apart."""
_VALUE = re.compile(rb':("[^"\\]*(?:\\.[^"\\]*)*"|-?[0-9]+)(?=[,}])')
_INTEGER = re.compile(rb"0|[1-9][0-9]{0,17}")
_SIGNATURE = re.compile(rb"[0-9a-f]{128}")
_PREV_HASH = b',"prev_hash"'
_LINK = re.compile(rb'"([0-9a-f]{64})"')
_SIG = b',"sig":'
_TS_MS = b',"ts_ms":'
_DIGITS = b"0123456789"

Column = list[int] | bytes | int | bool | None
"""What is kept of a column, by the table above."""


class BrokenColumns(LocalError):
    """Columns that give no lines, or lines that have no columns."""


# --- taking apart


def split_lines(lines: Sequence[bytes]) -> tuple[bytes, bytes]:
    """The columns of lines (without newlines) and, apart, their signatures.

    Raises `BrokenColumns` for what is no line of a log.
    """
    numbers: dict[tuple[bytes, ...], int] = {}
    rows: list[list[list[bytes]]] = []
    order: list[int] = []
    for line in lines:
        parts = _VALUE.split(line)
        number = numbers.setdefault(tuple(parts[::2]), len(rows))
        if number == len(rows):
            rows.append([])
        rows[number].append(parts[1::2])
        order.append(number)
    first_hash = b""
    shapes: list[list[Any]] = []
    signatures: list[bytes] = []
    for pieces, values in zip(numbers, rows, strict=True):
        columns = list(zip(*values, strict=True))
        at = _chain_at(pieces)
        first_hash = first_hash or _hash_in(columns[at][0])
        shapes.append(_shape(pieces, columns, at, signatures))
    return msgpack.packb([first_hash, order, shapes]), b"".join(signatures)


def _chain_at(pieces: Sequence[bytes]) -> int:
    """Which column is the hash of the line before: the last of that name, see `core.verify`."""
    for at in reversed(range(len(pieces) - 1)):
        if pieces[at].endswith(_PREV_HASH):
            return at
    raise BrokenColumns("a line that names no predecessor")


def _hash_in(value: bytes) -> bytes:
    match = _LINK.fullmatch(value)
    if match is None:
        raise BrokenColumns("a line that names no hash of its predecessor")
    return unhexlify(match[1])


def _shape(
    pieces: Sequence[bytes],
    columns: Sequence[tuple[bytes, ...]],
    chain_at: int,
    signatures: list[bytes],
) -> list[Any]:
    """What is kept of the lines of one shape. Appends to `signatures`."""
    kept: list[Column] = []
    texts = [pieces[0]]
    seen: dict[tuple[bytes, ...], int] = {}
    for at, (values, piece) in enumerate(zip(columns, pieces[1:], strict=True)):
        if at == chain_at:
            texts[-1] += b':"'
            texts.append(b'"' + piece)
            kept.append(None)
        elif values.count(values[0]) == len(values):
            texts[-1] += b":" + values[0] + piece
        else:
            before, column, after = _column(values, signatures)
            known = seen.setdefault(values, len(kept))
            kept.append(column if known == len(kept) else known)
            texts[-1] += b":" + before
            texts.append(after + piece)
    return [texts, kept]


def _column(values: Sequence[bytes], signatures: list[bytes]) -> tuple[bytes, Column, bytes]:
    """The text before, what is kept of values that are not all the same, and the text after."""
    before = _common(values)
    after = _common([value[len(before) :][::-1] for value in values])[::-1]
    head, tail = before.rstrip(_DIGITS), after.lstrip(_DIGITS)
    numbers = [value[len(head) : len(value) - len(tail)] for value in values]
    if all(map(_INTEGER.fullmatch, numbers)):
        found = list(map(int, numbers))
        return head, [found[0], *(after - before for before, after in pairwise(found))], tail
    unquoted = [value[1:-1] for value in values]
    if all(map(_SIGNATURE.fullmatch, unquoted)):
        signatures.append(unhexlify(b"".join(unquoted)))
        return b'"', True, b'"'
    rest = [value[len(before) : len(value) - len(after)] for value in values]
    return before, b"\n".join(rest), after


def _common(values: Sequence[bytes]) -> bytes:
    """What all values begin with."""
    first, last = min(values), max(values)
    for at, (one, other) in enumerate(zip(first, last, strict=False)):
        if one != other:
            return first[:at]
    return first


# --- putting together


def join_lines(columns: bytes, signatures: bytes, *, bytes_max: int) -> list[bytes]:
    """The lines (without newlines) that `split_lines` took apart.

    Raises `BrokenColumns` for what it did not write, or when they are longer than `bytes_max`.
    """
    try:
        most = len(columns)
        link, order, shapes = msgpack.unpackb(
            columns, max_str_len=0, max_bin_len=most, max_array_len=most, max_map_len=0
        )
        return _chained(_halves(order, shapes, signatures, bytes_max), hexlify(link))
    except (
        msgpack.exceptions.UnpackException,
        ArithmeticError,
        AttributeError,
        LookupError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as problem:
        raise BrokenColumns(f"no columns: {str(problem)[:200]}") from problem


def _halves(
    order: list[int], shapes: list[list[Any]], signatures: bytes, bytes_max: int
) -> Iterator[tuple[bytes, bytes]]:
    """What stands before and behind the hash of each line, in order."""
    taken, room, counts = 0, bytes_max, Counter(order)
    made: list[Iterator[tuple[bytes, bytes]]] = []
    for number, (pieces, kept) in enumerate(shapes):
        count, columns = counts[number], list[Any]()
        for column in kept:
            values, taken = _values(column, columns, signatures, taken, count)
            columns.append(values)
        room -= _size_of(pieces, columns, count)
        if room < 0:
            raise BrokenColumns(f"more than {bytes_max} bytes of lines")
        at = kept.index(None)
        before = _filled(pieces[: at + 1], columns[:at], count)
        after = _filled(pieces[at + 1 :], columns[at + 1 :], count)
        made.append(zip(before, after, strict=True))
    if len(made) == 1:
        return made[0]
    return (next(made[number]) for number in order)


def _values(
    column: Column, earlier: list[Any], signatures: bytes, taken: int, count: int
) -> tuple[Any, int]:
    """The values of a column, and how many of the signatures are taken after it."""
    if column is None:
        return None, taken
    if column is True:
        end = taken + count
        found = hexlify(signatures[taken * SIGNATURE_BYTES : end * SIGNATURE_BYTES])
        width = 2 * SIGNATURE_BYTES
        return [found[at : at + width] for at in range(0, len(found), width)], end
    if isinstance(column, bytes):
        return column.split(b"\n"), taken
    if isinstance(column, int):
        return earlier[column], taken
    return [b"%d" % number for number in accumulate(column)], taken


def _size_of(pieces: list[bytes], columns: list[Any], count: int) -> int:
    """How long the lines of a shape are, all together; makes sure that there are `count`."""
    size = (sum(map(len, pieces)) + 2 * HASH_BYTES + 1) * count
    for values in columns:
        if values is not None:
            if len(values) != count:
                raise BrokenColumns(f"{len(values)} values for {count} lines")
            size += sum(map(len, values))
    return size


def _filled(pieces: list[bytes], columns: list[list[bytes]], count: int) -> list[bytes]:
    """Piece, value, piece, ..., piece for each line."""
    if not columns:
        (only,) = pieces
        return [only] * count
    form = b"%b".join(piece.replace(b"%", b"%%") for piece in pieces)
    return [form % row for row in zip(*columns, strict=True)]


def _chained(halves: Iterator[tuple[bytes, bytes]], link: bytes) -> list[bytes]:
    """Put each line's hash into the next."""
    lines: list[bytes] = []
    sha256 = hashlib.sha256
    for before, after in halves:
        begin = before + link
        lines.append(begin + after)
        canonical = begin + after[: after.rfind(_SIG)] + after[after.rfind(_TS_MS) :]
        link = hexlify(sha256(canonical).digest())
    return lines
