"""Markdown: headings in both notations; a heading owns its section.

What stands in fenced code, in an HTML comment or the like, or in the front matter is no heading.
"""

import re
from collections.abc import Iterator

from humfs.core.anchors.anchor import Anchor, last_lines, lines_span
from humfs.core.text import Text

_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
_FRONT_MATTER = re.compile(r"---[ \t]*")
_FRONT_MATTER_END = re.compile(r"(?:---|\.\.\.)[ \t]*")
_HTML = re.compile(r" {0,3}<(?:(!--)|(pre|script|style|textarea)(?=[\s>]|$))", re.IGNORECASE)
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
    before = ""
    for number, line in _lines(text):
        if heading := _HEADING.fullmatch(line):
            found.append((number, len(heading[1]), line.strip(), heading[2] or ""))
            before = ""
        elif before and (underline := _UNDERLINE.fullmatch(line)):
            level = 1 if underline[1][0] == "=" else 2
            found.append((number - 1, level, before, before))
            before = ""
        else:
            before = "" if _NO_PARAGRAPH.match(line) else line.strip()
    return found


def _lines(text: Text) -> Iterator[tuple[int, str]]:
    """The lines with their numbers; those in which nothing is a heading are empty."""
    fence = closing = ""
    for number in range(_first_line(text), text.lines + 1):
        line = text.line(number)
        marks, html = _FENCE.fullmatch(line), _HTML.match(line)
        if fence:
            is_end = marks and marks[1].startswith(fence) and not marks[2].strip()
            fence = "" if is_end else fence
        elif closing:
            closing = "" if closing in line.lower() else closing
        elif marks and "`" not in marks[2]:
            fence = marks[1]
        elif html:
            end = "-->" if html[1] else f"</{html[2].lower()}>"
            closing = "" if end in line.lower() else end
        else:
            yield number, line
            continue
        yield number, ""


def _first_line(text: Text) -> int:
    """The line behind the front matter; 1 when there is none."""
    if text.lines and _FRONT_MATTER.fullmatch(text.line(1)):
        for number in range(2, text.lines + 1):
            if _FRONT_MATTER_END.fullmatch(text.line(number)):
                return number + 1
    return 1
