"""A file as an edit sees it, and what an edit would make of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from humfs.core.edits.gate import Change
from humfs.core.languages.language import Language, Revision
from humfs.core.symbols import Outline, Symbol
from humfs.core.text import Span, Text


class Parse(Protocol):
    """Parses content of one file, or would-be content of it."""

    def __call__(
        self, source: bytes, since: Revision | None = None, words: Sequence[bytes] = ()
    ) -> Outline:
        """See `Language.outline`."""


@dataclass(frozen=True, slots=True)
class CodeFile:
    """A parsed file."""

    path: str
    """As asked for."""
    text: Text
    language: Language
    outline: Outline
    """At least what leads to the symbol that is asked for, and what stands beside it."""
    parse: Parse

    @property
    def source(self) -> bytes:
        """Its content."""
        return self.text.source

    def changed(self, source: bytes, change: Change) -> Outline:
        """The outline it would have with this source."""
        return self.parse(source, Revision(self.source, self.outline, change.old, change.new))


@dataclass(frozen=True)
class Draft:
    """The would-be content of a file. Nothing outside `change` differs from the old one."""

    source: bytes
    outline: Outline
    change: Change
    region: Span
    """What stands where new text was asked for, in the new source; empty when text only went."""
    notes: tuple[str, ...] = ()

    @cached_property
    def symbols(self) -> list[Symbol]:
        """The symbols declared in the new text."""
        return [
            one
            for one in self.outline
            if self.region.start <= one.declaration.start < self.region.end
        ]


def spliced(source: bytes, old: Span, new: bytes) -> tuple[bytes, Change]:
    """`source` with a span replaced, and that as a change."""
    result = source[: old.start] + new + source[old.end :]
    return result, Change(old, Span(old.start, old.start + len(new)))
