"""One anchor, and the numbers of repeated ones."""

from collections import Counter
from dataclasses import dataclass, replace

from humfs.core.text import Span, Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """A place in a file that is not code."""

    target: str
    """What it is asked for by, exactly as shown, without `#N`."""
    name: str = ""
    """A shorter text that means the same: a heading without its marks, a section without
    brackets."""
    span: Span
    depth: int
    is_block: bool
    """Marked `§`: it owns a block. Otherwise `·`: a single value."""
    number: int = 0
    """1-based among equal targets; 0 when it is the only one."""

    @property
    def label(self) -> str:
        """The target with its `#N`."""
        return f"{self.target}#{self.number}" if self.number else self.target


def number(anchors: list[Anchor]) -> list[Anchor]:
    """Give equal targets their numbers, in file order."""
    counts = Counter(anchor.target for anchor in anchors)
    seen: Counter[str] = Counter()
    numbered = []
    for anchor in anchors:
        if counts[anchor.target] > 1:
            seen[anchor.target] += 1
            anchor = replace(anchor, number=seen[anchor.target])
        numbered.append(anchor)
    return numbered


def lines_span(text: Text, first: int, last: int) -> Span:
    """Lines `first` to `last` as a span, without blank lines at the end."""
    while last > first and not text.line(last).strip():
        last -= 1
    return Span(text.line_span(first).start, text.line_span(last).end)


def last_lines(starts: list[tuple[int, int]], *, lines: int) -> list[int]:
    """For each (line, level) the line before the next start of the same or a higher rank."""
    last = [lines] * len(starts)
    holding: list[int] = []
    for at, (line, level) in enumerate(starts):
        while holding and starts[holding[-1]][1] >= level:
            last[holding.pop()] = line - 1
        holding.append(at)
    return last
