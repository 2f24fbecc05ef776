"""Environment files: names with values, one to a line unless a quoted value goes on."""

import re

from humfs.core import anchors
from humfs.core.scopes.unit import Unit, block_between_blanks, lines_unit, whole_lines
from humfs.core.text import Span, Text

_NAME = re.compile(rb"[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.]*)[ \t]*=[ \t]*")
_END = rb"(?=[ \t]*(?:#[^\n]*)?\r?(?:\n|\Z))"
_VALUE = re.compile(
    rb"(?:\"(?:[^\"\\]|\\.)*\"|'[^']*'|`[^`]*`)"
    + _END
    + rb"|[^\n]*?(?=[ \t]+#|[ \t]*\r?(?:\n|\Z))",
    re.DOTALL,
)
_REST = re.compile(rb"[ \t]*(?:#[^\n]*)?(?:\r?\n|\Z)")


class EnvScopes:
    """See `unit.Scopes`."""

    def __init__(self, text: Text) -> None:
        self._text, self._source = text, text.source

    def phrases(self, wanted: str) -> list[Unit]:
        """Values by name; the name stays when the value is deleted."""
        found = anchors.find(anchors.anchors_of(".env", self._text), wanted)
        return [unit for one in found if (unit := self._value(one.span)) is not None]

    def sentence(self, found: Span) -> Unit | None:
        """The line."""
        span = whole_lines(self._source, found)
        return lines_unit(self._source, span, noun="line", is_block=False)

    def paragraph(self, found: Span) -> Unit | None:
        """The block between blank lines."""
        span = block_between_blanks(self._source, found)
        return lines_unit(self._source, span, noun="block", is_block=True)

    def fault(self) -> str:
        """The first line that is neither `NAME=…` nor a comment nor blank."""
        source, at = self._source, 0
        while at < len(source):
            line = _REST.match(source, at) or _entry(source, at)
            if line is None:
                number = source.count(b"\n", 0, at) + 1
                return f"line {number} is no NAME=value"
            if line.end() == at:
                break
            at = line.end()
        return ""

    def _value(self, entry: Span) -> Unit | None:
        name = _NAME.match(self._source, entry.start)
        value = _VALUE.match(self._source, name.end()) if name is not None else None
        if value is None:
            return None
        span = Span(value.start(), value.end())
        return Unit(span, "value", lambda new: (span, new.strip(b"\n")))


def _entry(source: bytes, at: int) -> re.Match[bytes] | None:
    """A name with its value and what follows on its line."""
    name = _NAME.match(source, at)
    value = _VALUE.match(source, name.end()) if name is not None else None
    return _REST.match(source, value.end()) if value is not None else None
