"""Plain text: no structural names; the block between blank lines is the unit."""

from humfs.core.scopes.unit import Unit, block_between_blanks, lines_unit
from humfs.core.text import Span, Text


class PlainScopes:
    """See `unit.Scopes`."""

    def __init__(self, text: Text) -> None:
        self._source = text.source

    def phrases(self, wanted: str) -> list[Unit]:
        """None: a phrase is exact text."""
        return []

    def sentence(self, found: Span) -> Unit | None:
        """The block."""
        return self.paragraph(found)

    def paragraph(self, found: Span) -> Unit | None:
        """The block between blank lines."""
        span = block_between_blanks(self._source, found)
        return lines_unit(self._source, span, noun="block", is_block=True)

    def fault(self) -> str:
        """Plain text has no form."""
        return ""
