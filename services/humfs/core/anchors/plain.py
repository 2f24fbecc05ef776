"""Anything else: lines at the left margin that end in a colon or stand in capitals."""

from humfs.core.anchors.anchor import Anchor, last_lines, lines_span
from humfs.core.text import Text

TITLE_CHARS_MAX = 120


def anchors(text: Text) -> list[Anchor]:
    """The titles, each with the lines down to the next one."""
    lines = [line for line in range(1, text.lines + 1) if _is_title(text.line(line))]
    ends = last_lines([(line, 0) for line in lines], lines=text.lines)
    return [
        Anchor(
            target=text.line(line).strip(),
            name=text.line(line).strip().rstrip(":"),
            span=lines_span(text, line, end),
            depth=0,
            is_block=True,
        )
        for line, end in zip(lines, ends, strict=True)
    ]


def _is_title(line: str) -> bool:
    if not line or line[0].isspace() or len(line) > TITLE_CHARS_MAX:
        return False
    return line.rstrip().endswith(":") or line.isupper()
