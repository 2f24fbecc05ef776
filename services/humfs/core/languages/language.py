"""What a language offers, and how one made of a single grammar does it."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

from tree_sitter import Language as Grammar
from tree_sitter import Parser, Point, Range, Tree

from humfs.core.languages.walk import ParseStopped, ShouldStop, Table, Walk, import_block
from humfs.core.symbols import Outline, Symbol
from humfs.core.syntax import Syntax
from humfs.core.text import Span

CHUNK_BYTES = 64 * 1024
"""Bytes handed to the parser at a time."""
TEXT_BYTES = 1024
"""The same when the text of a node is asked for."""
QUESTION_STEPS = 32
"""Of the times the parser asks whether to stop, each so many-th is answered; it asks each 10 us."""

__all__ = ["Language", "ParseStopped", "Revision", "ShouldStop", "TreeLanguage", "parse"]


@dataclass(frozen=True, slots=True)
class Revision:
    """What a source was before one span of it changed. Nothing outside the span differs."""

    source: bytes
    outline: Outline
    old: Span
    new: Span
    """The same span now."""


class Language(Protocol):
    """Makes outlines. One instance per language, safe from any thread."""

    @property
    def name(self) -> str:
        """As shown: `python`."""

    def outline(
        self,
        source: bytes,
        should_stop: ShouldStop = lambda: False,
        *,
        since: Revision | None = None,
        words: Sequence[bytes] = (),
    ) -> Outline:
        """Parse and outline; broken source gives what can be made out. Raises `ParseStopped`.

        With the revision before, the outline is the same, and sooner there. With `words` so is an
        outline in which, of the symbols, those may be missing that have none of them in their
        names, hold none that has, and are in none that has.
        """


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

    def outline(
        self,
        source: bytes,
        should_stop: ShouldStop = lambda: False,
        *,
        since: Revision | None = None,
        words: Sequence[bytes] = (),
    ) -> Outline:
        """Parse and outline one file."""
        text = self.prepare(source) if self.prepare is not None else source
        is_known = since is not None and self.prepare is None
        tree = reparse(self.grammar, text, since, should_stop) if since and is_known else None
        if tree is None:
            tree = parse(self.grammar, text, should_stop)
        outline = Outline(self.name, trees=[tree])
        outline.imports = import_block(tree.root_node.named_children, self.syntax)
        outline.symbols = self.symbols(tree, source, should_stop, words)
        outline.number()
        return outline

    def symbols(
        self, tree: Tree, source: bytes, should_stop: ShouldStop, words: Sequence[bytes] = ()
    ) -> list[Symbol]:
        """The symbols of a tree, in file order, not numbered yet."""
        return Walk(source, tree.root_node, self.syntax, self.table, words).run(should_stop)


def reparse(
    grammar: Grammar, source: bytes, since: Revision, should_stop: ShouldStop
) -> Tree | None:
    """Parse what changed, and take the rest from the tree before; raises `ParseStopped`.

    None when there are errors before or after: how a parser gets over one depends on the way it
    comes, so a source with errors is parsed as if it was never seen before.
    """
    (before,) = since.outline.trees
    if before.root_node.has_error:
        return None
    old, new = since.old, since.new
    before = before.copy()
    before.edit(
        old.start,
        old.end,
        new.end,
        _point(since.source, old.start),
        _point(since.source, old.end),
        _point(source, new.end),
    )
    tree = parse(grammar, source, should_stop, before=before)
    return None if tree.root_node.has_error else tree


def _point(source: bytes, offset: int) -> Point:
    return Point(source.count(b"\n", 0, offset), offset - source.rfind(b"\n", 0, offset) - 1)


def parse(
    grammar: Grammar,
    source: bytes,
    should_stop: ShouldStop = lambda: False,
    ranges: Sequence[Range] | None = None,
    *,
    before: Tree | None = None,
) -> Tree:
    """Parse all of `source`, or only `ranges` of it; raises `ParseStopped`.

    `before` is a tree that was told what changed since.
    """
    stopped, steps, is_parsed, buffer = False, 0, False, _buffer()

    def chunk(at: int, _: object) -> bytes | bytearray:
        if is_parsed:  # a node's text is asked for
            return source[at : at + TEXT_BYTES]
        buffer[:] = source[at : at + CHUNK_BYTES]
        return buffer

    def progress(_: int, __: bool) -> bool:
        nonlocal stopped, steps
        steps += 1
        stopped = stopped or (steps % QUESTION_STEPS == 0 and should_stop())
        return stopped

    parser = Parser(grammar, included_ranges=ranges) if ranges else Parser(grammar)
    try:
        reader = cast("Callable[[int, object], bytes]", chunk)
        if before is not None:
            return parser.parse(reader, before, progress_callback=progress)
        return parser.parse(reader, progress_callback=progress)
    except ValueError:
        if stopped:
            raise ParseStopped from None
        raise
    finally:
        is_parsed = True
        buffer.clear()


_buffers = threading.local()


def _buffer() -> bytearray:
    """The buffer in which this thread hands source to the parser.

    The binding never lets go of what its reader returned, so it is given the same object each time.
    """
    if not hasattr(_buffers, "one"):
        _buffers.one = bytearray()
    buffer: bytearray = _buffers.one
    return buffer
