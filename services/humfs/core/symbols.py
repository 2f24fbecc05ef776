"""What an outline is: symbols in a tree, the import block, and how both are written down.

A language (`core.languages`) makes an `Outline` from bytes; lookup, ranking and views read it. A
symbol's *declaration* is the declaration node with its wrappers (decorators, `export`); its *full*
span also takes in the comments directly above. What is shown for a symbol is its full span; so is
what an edit replaces.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tree_sitter import Node

from humfs.core.text import Span

SIGNATURE_CHARS_MAX = 120
"""A longer signature is cut."""
TYPE_KINDS = frozenset({"class", "struct", "union", "interface", "trait", "enum", "impl"})
"""A callable directly inside one of these is a `method`."""
MEMBER_KINDS = frozenset({"field", "prop", "variant"})
"""Folded first when an outline is too long."""


@dataclass(slots=True, eq=False)
class Symbol:
    """A named declaration."""

    kind: str
    name: str
    declaration: Span
    full: Span
    node: Node
    """The declaration in the syntax tree, without wrappers: where sub-symbol walks start."""
    signature: str = ""
    """Parameters and return type, for callables."""
    is_overload: bool = False
    """A stub that forms one set with the same-named symbols after it."""
    extends: str = ""
    """The type this block adds members to (Rust `impl`): paths through that type also lead here."""
    children: list["Symbol"] = field(default_factory=list)
    number: int = 0
    """1-based among same-named siblings; 0 when the name is unique there."""
    holder: str = ""
    """Full path of the symbol that holds this one; empty at the top."""
    depth: int = 0
    """How many symbols hold this one."""

    @property
    def label(self) -> str:
        """The name with its `#N`, as one segment of a path."""
        return f"{self.name}#{self.number}" if self.number else self.name

    @property
    def path(self) -> str:
        """The symbol's full path: the labels from the top, with dots."""
        return f"{self.holder}.{self.label}" if self.holder else self.label


@dataclass(slots=True, eq=False)
class Outline:
    """The symbols of one file, in file order. Call `number` once it is complete."""

    language: str
    symbols: list[Symbol] = field(default_factory=list)
    imports: Span | None = None
    """The first unbroken run of top-level imports."""

    def __iter__(self) -> Iterator[Symbol]:
        """Every symbol, parents before children, in file order."""
        waiting = self.symbols[::-1]
        while waiting:
            symbol = waiting.pop()
            yield symbol
            waiting.extend(reversed(symbol.children))

    def number(self) -> None:
        """Give same-named siblings their numbers, and every symbol its place in the tree.

        A top-level `imports` always has a number: the bare word is the import block.
        """
        number_siblings(self.symbols)
        for symbol in self.symbols:
            if symbol.name == "imports":
                symbol.number = symbol.number or 1
        for symbol in self:
            number_siblings(symbol.children)
            for inner in symbol.children:
                inner.holder, inner.depth = symbol.path, symbol.depth + 1

    def innermost(self, offset: int) -> Symbol | None:
        """The smallest symbol whose full span contains a byte."""
        found: Symbol | None = None
        among = self.symbols
        while True:
            inside = [one for one in among if one.full.start <= offset < one.full.end]
            if not inside:
                return found
            found = inside[-1]
            among = found.children


def number_siblings(siblings: list[Symbol]) -> None:
    """Number symbols that share a name under one parent; `impl` rows repeat and get none."""
    counts = Counter(symbol.name for symbol in siblings if symbol.kind != "impl")
    seen: Counter[str] = Counter()
    for symbol in siblings:
        if symbol.kind == "impl" or counts[symbol.name] < 2:
            continue
        seen[symbol.name] += 1
        symbol.number = seen[symbol.name]
