"""What a language offers, and how one made of a single grammar does it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from tree_sitter import Language as Grammar
from tree_sitter import Parser, Range, Tree

from humfs.core.languages.walk import ParseStopped, ShouldStop, Table, Walk, import_block
from humfs.core.symbols import Outline, Symbol
from humfs.core.syntax import Syntax

CHUNK_BYTES = 64 * 1024
"""Bytes handed to the parser at a time; between two it asks whether to stop."""

__all__ = ["Language", "ParseStopped", "ShouldStop", "TreeLanguage", "parse"]


class Language(Protocol):
    """Makes outlines. One instance per language, safe from any thread."""

    @property
    def name(self) -> str:
        """As shown: `python`."""

    def outline(self, source: bytes, should_stop: ShouldStop = lambda: False) -> Outline:
        """Parse and outline; broken source gives what can be made out. Raises `ParseStopped`."""


@dataclass(frozen=True, slots=True)
class TreeLanguage:
    """A language with one grammar: its syntax, and the table of what is a symbol in it."""

    syntax: Syntax
    table: Table
    grammar: Grammar
    prepare: Callable[[bytes], bytes] | None = None
    """Makes a copy of a source, of equal length, that the grammar can read."""

    @property
    def name(self) -> str:
        """As shown."""
        return self.syntax.name

    def outline(self, source: bytes, should_stop: ShouldStop = lambda: False) -> Outline:
        """Parse and outline one file."""
        text = self.prepare(source) if self.prepare is not None else source
        tree = parse(self.grammar, text, should_stop)
        outline = Outline(self.name, trees=[tree])
        outline.imports = import_block(tree.root_node.named_children, self.syntax)
        outline.symbols = self.symbols(tree, source, should_stop)
        outline.number()
        return outline

    def symbols(self, tree: Tree, source: bytes, should_stop: ShouldStop) -> list[Symbol]:
        """The symbols of a tree, in file order, not numbered yet."""
        return Walk(source, tree.root_node, self.syntax, self.table).run(should_stop)


def parse(
    grammar: Grammar,
    source: bytes,
    should_stop: ShouldStop = lambda: False,
    ranges: Sequence[Range] | None = None,
) -> Tree:
    """Parse all of `source`, or only `ranges` of it; raises `ParseStopped`."""
    stopped = False

    def chunk(at: int, _: object) -> bytes:
        return source[at : at + CHUNK_BYTES]

    def progress(_: int, __: bool) -> bool:
        nonlocal stopped
        stopped = stopped or should_stop()
        return stopped

    parser = Parser(grammar, included_ranges=ranges) if ranges else Parser(grammar)
    try:
        return parser.parse(chunk, progress_callback=progress)
    except ValueError:
        if stopped:
            raise ParseStopped from None
        raise
