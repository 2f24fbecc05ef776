"""Where a text stands in a source: exactly, or as a word; and the `#N` behind what is asked for."""

import re

from humfs.core.text import Span

MATCHES_MAX = 100_000
"""Matches found of one text; more are not counted."""

_NUMBER = re.compile(r"(.+)#([1-9][0-9]{0,8})", re.DOTALL)
_WORD = re.compile(r"\w")
_CHARACTER_BYTES_MAX = 4


def numbered(wanted: str) -> tuple[str, int] | None:
    """What is asked for without its `#N`, and N; None when there is none."""
    match = _NUMBER.fullmatch(wanted)
    return (match[1], int(match[2])) if match else None


def exact(source: bytes, wanted: bytes) -> list[Span]:
    """Every place of a text, none overlapping another."""
    found: list[Span] = []
    at = source.find(wanted)
    while at >= 0 and len(found) < MATCHES_MAX:
        found.append(Span(at, at + len(wanted)))
        at = source.find(wanted, at + len(wanted))
    return found


def words(source: bytes, wanted: str) -> list[Span]:
    """Every place of a text where no neighbour continues a word it begins or ends with."""
    first, last = _is_word(wanted[0]), _is_word(wanted[-1])
    return [
        span
        for span in exact(source, wanted.encode())
        if not (first and _is_word(_before(source, span.start)))
        and not (last and _is_word(_after(source, span.end)))
    ]


def _is_word(character: str) -> bool:
    return bool(_WORD.fullmatch(character))


def _before(source: bytes, at: int) -> str:
    """The character that ends at a byte; empty at the start and for bytes that are no text."""
    for length in range(1, _CHARACTER_BYTES_MAX + 1):
        if at - length < 0:
            break
        if source[at - length] & 0xC0 != 0x80:
            return source[at - length : at].decode("utf-8", "ignore")[-1:]
    return ""


def _after(source: bytes, at: int) -> str:
    return source[at : at + _CHARACTER_BYTES_MAX].decode("utf-8", "ignore")[:1]
