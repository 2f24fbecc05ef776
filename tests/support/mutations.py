"""Changes of one span of a source, as edits make them and as nobody would."""

import re
from dataclasses import dataclass
from random import Random

from humfs.core.text import Span

_TOKEN = re.compile(rb"\w+|[^\w\s]|\s+")
JUNK = (
    b"",
    b"(",
    b")",
    b"{",
    b"}",
    b'"',
    b"'''",
    b":",
    b"\n",
    b"\n\n",
    b"    ",
    b"x",
    b" = ",
    b"#",
)
"""What may be put anywhere."""


@dataclass(frozen=True, slots=True)
class Mutation:
    """A source, the span of the one before it that went, and the span that came."""

    source: bytes
    old: Span
    new: Span


def mutated(source: bytes, dice: Random) -> Mutation:
    """One change: of a token, of a line, of several, or of any bytes."""
    lines = [0, *(match.end() for match in re.finditer(rb"\n", source))]
    kind = dice.randrange(5)
    if kind == 0:
        tokens = list(_TOKEN.finditer(source))
        token = dice.choice(tokens)
        old, text = Span(*token.span()), dice.choice(tokens)[0]
    elif kind == 1:
        start, end = sorted(dice.choices(lines, k=2))
        old, text = Span(start, end if end - start < 400 else start), b""
    elif kind == 2:
        start, end = sorted(dice.choices(lines, k=2))
        at = dice.choice(lines)
        old, text = Span(at, at), source[start:end][:400]
    elif kind == 3:
        start = dice.randrange(len(source) + 1)
        old, text = Span(start, min(len(source), start + dice.randrange(40))), dice.choice(JUNK)
    else:
        at = dice.choice([match.start() for match in _TOKEN.finditer(source)])
        old, text = Span(at, at), dice.choice(JUNK)
    new = source[: old.start] + text + source[old.end :]
    return Mutation(new, old, Span(old.start, old.start + len(text)))
