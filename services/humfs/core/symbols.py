"""What an outline is: symbols in a tree, the import block, and how both are written down.

A language (`core.languages`) makes an `Outline` from bytes; lookup, ranking and views read it. A
symbol's *declaration* is the declaration node with its wrappers (decorators, `export`); its *full*
span also takes in the comments directly above. What is shown for a symbol is its full span; so is
what an edit replaces.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import groupby

from tree_sitter import Node, Tree

from humfs.core.syntax import Syntax
from humfs.core.text import Span

SIGNATURE_CHARS_MAX = 120
"""A longer signature is cut."""
TYPE_KINDS = frozenset({"class", "struct", "union", "interface", "trait", "enum", "impl"})
"""A callable directly inside one of these is a `method`."""
CALLABLE_KINDS = frozenset({"fn", "method", "ctor"})
"""What is bound inside one of these is local, and no symbol."""
MEMBER_KINDS = frozenset({"field", "prop", "variant"})
"""Folded first when an outline is too long."""
PART_KINDS = frozenset({"script", "template", "style"})
"""The blocks of a component file; the language numbers them."""


Extend = Callable[[Span], Span]
"""From a declaration to its full span."""


@dataclass(slots=True, eq=False)
class Symbol:
    """A named declaration.

    Of the many in a file few are shown, so full span and signature are made out when asked for.
    """

    kind: str
    name: str
    declaration: Span
    extend: Extend
    node: Node
    """The declaration in the syntax tree, without wrappers: where sub-symbol walks start."""
    syntax: Syntax
    """Of the tree that `node` is in."""
    signed: Callable[[], str] | str = ""
    """The signature, or what makes it out."""
    is_overload: bool = False
    """A stub that forms one set with the same-named symbols after it."""
    owner: str = ""
    """The type, declared elsewhere, that this is a member of or adds members to: paths through that
    type also lead here."""
    member: str = ""
    """The name inside `owner`; empty for a block whose children are the members."""
    imports: Span | None = None
    """The import block inside, when it has its own."""
    children: list["Symbol"] = field(default_factory=list)
    number: int = 0
    """1-based among same-named siblings; 0 when the name is unique there."""
    holder: str = ""
    """Full path of the symbol that holds this one; empty at the top."""
    depth: int = 0
    """How many symbols hold this one."""
    _full: Span | None = None

    @property
    def full(self) -> Span:
        """The declaration with what belongs to it: see the module's docstring."""
        if self._full is None:
            self._full = self.extend(self.declaration)
        return self._full

    @property
    def signature(self) -> str:
        """Parameters and return type, for callables."""
        if not isinstance(self.signed, str):
            self.signed = self.signed()
        return self.signed

    @property
    def label(self) -> str:
        """The name with its `#N`, as one segment of a path; an `impl` shows none."""
        return f"{self.name}#{self.number}" if self.number and self.kind != "impl" else self.name

    @property
    def path(self) -> str:
        """The symbol's full path: the labels from the top, with dots."""
        return f"{self.holder}.{self.label}" if self.holder else self.label

    @property
    def described(self) -> str:
        """Kind and full path, as answers name a symbol."""
        return self.path if self.kind in PART_KINDS else f"{self.kind} {self.path}"

    @property
    def address(self) -> str:
        """A path that leads here and nowhere else: an `impl` needs its kind before its name."""
        if self.kind != "impl":
            return self.path
        name = f"impl {self.name}#{self.number}" if self.number else f"impl {self.name}"
        return f"{self.holder}.{name}" if self.holder else name


@dataclass(slots=True, eq=False)
class Outline:
    """The symbols of one file, in file order. Call `number` once it is complete."""

    language: str
    symbols: list[Symbol] = field(default_factory=list)
    imports: Span | None = None
    """The first unbroken run of top-level imports."""
    trees: list[Tree] = field(default_factory=list)
    """What the file was parsed into: one tree, or one for each part of a component file."""

    def __iter__(self) -> Iterator[Symbol]:
        """Every symbol, parents before children, in file order."""
        waiting = self.symbols[::-1]
        while waiting:
            symbol = waiting.pop()
            yield symbol
            waiting.extend(reversed(symbol.children))

    def number(self) -> None:
        """Give every symbol its place in the tree, and a number where its path would repeat.

        Mostly those are same-named siblings; the members of one type in several blocks, and one
        declared inside and defined outside its class, count together. A top-level `imports` always
        has a number: the bare word is the import block.
        """
        ranked = sorted(self._placed(), key=lambda one: one[0])
        for _, group in groupby(ranked, key=lambda one: one[0]):
            named = defaultdict[tuple[str, bool], list[Symbol]](list)
            for _, symbol, parent in group:
                symbol.holder = parent.path if parent else ""
                path = f"{symbol.holder}.{symbol.name}" if parent else symbol.name
                named[path, symbol.kind == "impl"].append(symbol)
            for same in named.values():
                number(same)
        for symbol in self.symbols:
            if symbol.name == "imports":
                symbol.number = symbol.number or 1

    def _placed(self) -> Iterator[tuple[int, Symbol, Symbol | None]]:
        """Every symbol with the length of its path without numbers, and its parent.

        A parent's path is shorter than its children's, so it is known before they are numbered.
        """
        waiting: list[tuple[int, Symbol, Symbol | None]] = [
            (len(symbol.name), symbol, None) for symbol in reversed(self.symbols)
        ]
        while waiting:
            length, symbol, parent = waiting.pop()
            yield length, symbol, parent
            for inner in reversed(symbol.children):
                inner.depth = symbol.depth + 1
                waiting.append((length + 1 + len(inner.name), inner, symbol))

    def innermost(self, offset: int) -> Symbol | None:
        """The smallest symbol whose full span contains a byte."""
        found: Symbol | None = None
        among = self.symbols
        while True:
            inside = [one for one in among if one.full.start <= offset < one.full.end]
            if not inside:
                return found
            found = min(inside, key=lambda one: one.full.end - one.full.start)
            among = found.children


def number(same: list[Symbol]) -> None:
    """Number symbols that share a path, in file order; parts of a component have theirs already."""
    if len(same) < 2 or same[0].kind in PART_KINDS:
        return
    for at, symbol in enumerate(same, start=1):
        symbol.number = at
