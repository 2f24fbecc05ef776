"""Markdown: headings in both notations, outside fenced code; a heading owns its section."""

import re

from humfs.core.anchors.anchor import Anchor, last_lines, lines_span
from humfs.core.text import Text

_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
_NO_PARAGRAPH = re.compile(r"(?: {4}|\t| {0,3}(?:[-*+>|]|[0-9]{1,9}[.)]))")


def anchors(text: Text) -> list[Anchor]:
    """The headings, nested by level."""
    headings = _headings(text)
    ends = last_lines([heading[:2] for heading in headings], lines=text.lines)
    found, holding = [], list[int]()
    for (line, level, target, name), end in zip(headings, ends, strict=True):
        while holding and holding[-1] >= level:
            holding.pop()
        span = lines_span(text, line, end)
        depth = len(holding)
        found.append(Anchor(target=target, name=name, span=span, depth=depth, is_block=True))
        holding.append(level)
    return found


def _headings(text: Text) -> list[tuple[int, int, str, str]]:
    """Line, level, heading as written, heading without marks."""
    found: list[tuple[int, int, str, str]] = []
    fence, before = "", ""
    for number in range(1, text.lines + 1):
        line = text.line(number)
        marks = _FENCE.fullmatch(line)
        if fence:
            if marks and marks[1].startswith(fence) and not marks[2].strip():
                fence = ""
        elif marks and "`" not in marks[2]:
            fence, before = marks[1], ""
        elif heading := _HEADING.fullmatch(line):
            found.append((number, len(heading[1]), line.strip(), heading[2] or ""))
            before = ""
        elif before and (underline := _UNDERLINE.fullmatch(line)):
            level = 1 if underline[1][0] == "=" else 2
            found.append((number - 1, level, before, before))
            before = ""
        else:
            before = "" if _NO_PARAGRAPH.match(line) else line.strip()
    return found
