"""What an edit changed, as a unified diff of bounded length."""

import difflib
from dataclasses import dataclass

from humfs.core import views
from humfs.core.edits.gate import Change
from humfs.core.edits.lines import line_start
from humfs.core.text import Span, Text

CONTEXT_LINES = 3
DIFF_LINES_MAX = 60
COMPARED_LINES_MAX = 600
"""Longer regions are shown as all old lines, then all new ones."""
LINE_CHARS_MAX = 300


@dataclass(frozen=True, slots=True)
class Window:
    """The changed lines of a text with what is around them."""

    first: int
    lines: list[str]
    """The first `COMPARED_LINES_MAX` of them."""
    count: int
    """How many there are."""


def diff(old: Text, new: Text, change: Change) -> str:
    """The changed region with its context, in the form of `diff -u`, without file names."""
    before, after = _window(old, change.old), _window(new, change.new)
    count = before.count + after.count
    if count <= COMPARED_LINES_MAX:
        rows = list(difflib.unified_diff(before.lines, after.lines, lineterm="", n=CONTEXT_LINES))[
            2:
        ]
        rows = [_placed(row, before.first, after.first) for row in rows]
    else:
        head = f"@@ -{_range(before)} +{_range(after)} @@"
        half = DIFF_LINES_MAX // 2
        rows = [head, *(f"-{line}" for line in before.lines[:half])]
        rows += [f"+{line}" for line in after.lines[:half]]
    more = max(len(rows), count + 1 if count > COMPARED_LINES_MAX else 0) - DIFF_LINES_MAX
    shown = [views.clean(row)[:LINE_CHARS_MAX] for row in rows[:DIFF_LINES_MAX]]
    if more > 0:
        shown.append(f"[{more} more line(s) of this change, not shown]")
    return "\n".join(shown)


def lines_of(text: Text, span: Span) -> tuple[int, int]:
    """First and last line of a span, as answers name them."""
    if not text.lines:
        return 0, 0
    return text.first_line(span), max(text.first_line(span), text.last_line(span))


def _window(text: Text, span: Span) -> Window:
    if not text.lines:
        return Window(1, [], 0)
    first = max(1, text.line_of(span.start) - CONTEXT_LINES)
    last_byte = max(span.start, span.end)
    last = min(text.lines, text.line_of(last_byte) + CONTEXT_LINES)
    read = min(last, first + COMPARED_LINES_MAX - 1)
    return Window(first, [text.line(line) for line in range(first, read + 1)], last - first + 1)


def _range(window: Window) -> str:
    return f"{window.first if window.count else window.first - 1},{window.count}"


def _placed(row: str, old: int, new: int) -> str:
    """A header of a hunk with line numbers of the files instead of the windows."""
    if not row.startswith("@@"):
        return row
    _, before, after, _ = row.split(" ", 3)
    return f"@@ -{_moved(before[1:], old)} +{_moved(after[1:], new)} @@"


def _moved(position: str, first: int) -> str:
    start, comma, count = position.partition(",")
    return f"{int(start) + first - 1}{comma}{count}"


def line_change(old: bytes, new: bytes) -> Change:
    """Where two sources differ, from the start of a line, as one change: for whole files."""
    begin = line_start(old, _common(old, new, min(len(old), len(new))))
    tail = _common(old[::-1], new[::-1], min(len(old), len(new)) - begin)
    return Change(Span(begin, len(old) - tail), Span(begin, len(new) - tail))


def _common(one: bytes, other: bytes, limit: int) -> int:
    """How many bytes two texts have in common at their start."""
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        if one[:middle] == other[:middle]:
            low = middle
        else:
            high = middle - 1
    return low
