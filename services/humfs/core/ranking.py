"""How well a symbol fits a `query`: six ranks, best first, case ignored except to break ties.

1 equal, 2 equal ignoring case, 3 prefix, 4 prefix of a word inside the name, 5 substring, 6
subsequence in order (from `SUBSEQUENCE_CHARS_MIN` characters on), fewer gaps first.
"""

import re

from humfs.core.symbols import Symbol

SUBSEQUENCE_CHARS_MIN = 3

_WORD_START = re.compile(r"(?<=[_\-.])[^_\-.]|(?<=[0-9])[^0-9]|(?<=[^0-9])[0-9]|[A-Z]")

Score = tuple[int, int, int, int, int]
"""Rank, gaps, whether the case differs, length of what fits, depth: the smallest is the best."""


def score(query: str, symbol: Symbol) -> Score | None:
    """How well a symbol fits, by its own name or its full path; None when it does not."""
    texts = {symbol.name, symbol.path}
    fits = [(*fit, len(text)) for text in texts if (fit := _fit(query, text)) is not None]
    return (*min(fits), symbol.depth) if fits else None


def _fit(query: str, text: str) -> tuple[int, int, int] | None:
    """Rank, gaps and whether the case differs for one text."""
    small, low = query.lower(), text.lower()
    if query == text:
        return 1, 0, 0
    if small == low:
        return 2, 0, 1
    if low.startswith(small):
        return 3, 0, int(not text.startswith(query))
    starts = [
        match.start()
        for match in _WORD_START.finditer(text)
        if low.startswith(small, match.start())
    ]
    if starts:
        return 4, 0, int(not any(text.startswith(query, start) for start in starts))
    if small in low:
        return 5, 0, int(query not in text)
    gaps = _gaps(small, low) if len(small) >= SUBSEQUENCE_CHARS_MIN else None
    return None if gaps is None else (6, gaps, int(_gaps(query, text) is None))


def _gaps(query: str, text: str) -> int | None:
    """Interruptions of `query` as a subsequence of `text`, taken as early as possible."""
    gaps, last = 0, -1
    for char in query:
        at = text.find(char, last + 1)
        if at < 0:
            return None
        gaps += last >= 0 and at > last + 1
        last = at
    return gaps
