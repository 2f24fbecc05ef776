"""How well a symbol fits a `query`: six ranks, best first, case ignored except to break ties.

1 equal, 2 equal ignoring case, 3 prefix, 4 prefix of a word inside the name, 5 substring, 6
subsequence in order (from `SUBSEQUENCE_CHARS_MIN` characters on), fewer gaps first.

Parsing is what a search over many files costs, so `Hint` tells from the bytes of a file which rank
a symbol in it can have at best, and files are parsed in that order until better ones cannot come.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from humfs.core.symbols import Symbol

SUBSEQUENCE_CHARS_MIN = 3

_WORD_START = re.compile(r"(?<=[_\-.])[^_\-.]|(?<=[0-9])[^0-9]|(?<=[^0-9])[0-9]|[A-Z]")

Score = tuple[int, int, int, int, int]
"""Rank, gaps, whether the case differs, length of what fits, depth: the smallest is the best."""


RANKS = (1, 3, 4, 5, 6, 7)
"""What `Hint.best` answers: a rank, or 7 for rank 6 by a path that is spread over several names."""


@dataclass(frozen=True, slots=True)
class Hint:
    """A query as bytes to look for. Made by `hint`."""

    pieces: tuple[bytes, ...]
    """Its words in lower case; a symbol of rank 5 or better holds each of them in its path."""
    scattered: Callable[[bytes], object] | None
    """Finds a word that holds the query as a subsequence; None when it is too short for that."""
    is_word: bool
    """Whether it is one word, so that what stands around it in a file tells its rank."""

    def best(self, source: bytes) -> int:
        """The best rank that a symbol in `source` can have; too good at worst."""
        low = source.lower()
        if not all(piece in low for piece in self.pieces):
            return 6 if self.scattered is not None and self.scattered(source) else 7
        return _best_word(low, source, self.pieces[0]) if self.is_word else 1


def hint(query: str) -> Hint:
    """What to look for before parsing."""
    import re2  # here, because it is megabytes that an idle service does without

    words = re.findall(r"\w+", query.lower())
    is_word = len(words) == 1 and words[0] == query.lower()
    if not query.isascii():
        return Hint((), None, False)
    letters = [re.escape(char).encode() for char in query.lower()]
    is_long = len(query) >= SUBSEQUENCE_CHARS_MIN and is_word
    # RE2, because a word may be megabytes long.
    scattered = re2.compile(rb"(?i)" + rb"\w*".join(letters)).search if is_long else None
    re2.purge()
    return Hint(tuple(word.encode() for word in words), scattered, is_word)


def _best_word(low: bytes, source: bytes, word: bytes) -> int:
    """The best rank of any place where `word` stands."""
    best, at = 5, low.find(word)
    while at >= 0:
        end = at + len(word)
        if not _is_word(low[at - 1 : at]):
            if not _is_word(low[end : end + 1]):
                return 1
            best = 3
        elif best == 5 and _starts_word(source[at - 1 : at + 1]):
            best = 4
        at = low.find(word, end)
    return best


def _is_word(char: bytes) -> bool:
    return bool(char) and (char.isalnum() or char == b"_" or char >= b"\x80")


def _starts_word(pair: bytes) -> bool:
    """Whether a word inside a name starts at the second of two characters."""
    before, first = pair[:1], pair[1:]
    return before in b"_-." or first.isupper() or before.isdigit() != first.isdigit()


def score(query: str, symbol: Symbol) -> Score | None:
    """How well a symbol fits, by its own name or its full path; None when it does not."""
    path = symbol.path
    if _gaps(query.lower(), path.lower()) is None:
        return None  # whatever fits is a subsequence
    texts = {symbol.name, path}
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
