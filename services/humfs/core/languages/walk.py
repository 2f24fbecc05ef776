"""From a syntax tree to symbols: one pass over the nodes that may hold declarations.

What a language calls a symbol is a `Table`: for each node type a rule, and the types to look into
for more. Nothing else is visited, so a big file costs little more than its parse. Most rules come
from `declares` and its neighbours here; a language adds functions of its own for what its grammar
has odd.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

from tree_sitter import Node

from humfs.core.symbols import CALLABLE_KINDS, SIGNATURE_CHARS_MAX, TYPE_KINDS, Symbol
from humfs.core.syntax import Syntax
from humfs.core.text import Span, holds_any

ShouldStop = Callable[[], bool]
"""Asked now and then; True ends the work with `ParseStopped`."""

STEPS = 4_096
"""Nodes visited between two questions whether to stop."""

_SPACES = re.compile(r"\s+")
_FILE_LINES = 2
"""Only so many first lines can be `#!` or encoding lines."""
_ENCODING_LINE = re.compile(rb"#.*?(?:coding[:=][ \t]*[-\w.]+|frozen_string_literal:)")
"""Comments that say how the rest of a file is to be read: of Python, of Ruby."""


class ParseStopped(Exception):
    """Work was ended by its `ShouldStop`: out of time, or cancelled."""


class Level(Enum):
    """What a name that is bound at some place is."""

    DECLARES = "declares"
    """At the top of a module, a namespace or a type: a symbol."""
    LOCAL = "local"
    """Inside a function or a block: none, unless it is a function or a type."""
    BOUND = "bound"
    """Part of a value that has a name: functions in it are its members."""


Rule = Callable[["Walk", Node], None]
"""Adds the symbols of one node, and says where to go on."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """What is a symbol in one language. All names are node types of its grammar."""

    rules: Mapping[str, Rule]
    inside: frozenset[str]
    """Looked into; what is bound there is what it would be outside."""
    local: frozenset[str] = frozenset()
    """Looked into; what is bound there is local."""
    wrappers: frozenset[str] = frozenset()
    """Looked into; they belong to the declaration inside."""
    statements: Mapping[str, str] = field(default_factory=dict)
    """Statement -> its declarators. It belongs to the declarator when that is the only one and not
    in brackets; else each declarator stands for itself."""
    leading: frozenset[str] = frozenset()
    """Siblings that belong to the declaration after them."""
    closed: frozenset[str] = frozenset()
    """Declarations a `;` behind which belongs to them."""
    local_words: tuple[bytes, ...] = ()
    """A callable's body that holds none of these words holds no symbol, and is not looked into.
    Empty where that cannot be told from words."""
    results: tuple[tuple[str, str], ...] = (("return_type", ""),)
    """Fields with the result of a callable, each with what is written before it."""

    @cached_property
    def steps(self) -> dict[str, Rule]:
        """What is done at a node of each type; one that is not in here is not looked into."""
        return {
            **dict.fromkeys(self.local, _local),
            **dict.fromkeys(self.statements, _statement),
            **dict.fromkeys(self.wrappers, _wrapper),
            **dict.fromkeys(self.inside, _inside),
            **self.rules,
        }


_Step = tuple[Rule, Node, Symbol | None, Level, Span | None, bool]
"""What is to be done at a node, and what `Walk` knows about the place."""


@dataclass(slots=True)
class Walk:
    """One pass. Rules call `add` and `enter`."""

    source: bytes
    root: Node
    syntax: Syntax
    table: Table
    words: Sequence[bytes] = ()
    """Only what leads to symbols with these in their names matters, and what is inside those; else
    everything does."""
    symbols: list[Symbol] = field(default_factory=list)
    parent: Symbol | None = None
    """What holds the node at hand."""
    level: Level = Level.DECLARES
    """Where the node at hand stands."""
    _span: Span | None = None
    """The node at hand with its wrappers, when it has any."""
    _is_inside: bool = False
    """Whether the node at hand is inside a symbol that `words` name."""
    _next: list[_Step] = field(default_factory=list)

    def run(self, should_stop: ShouldStop = lambda: False) -> list[Symbol]:
        """The symbols below the root, in file order. Raises `ParseStopped`."""
        try:
            self._visit_all(should_stop)
            return self.symbols
        finally:  # they know this walk: without it knowing them, they go when their last user does
            self.symbols, self.parent, self._next = [], None, []

    def _visit_all(self, should_stop: ShouldStop) -> None:
        self.enter(self.root)
        waiting, steps = self._next[::-1], 0
        while waiting:
            rule, node, self.parent, self.level, self._span, self._is_inside = waiting.pop()
            steps += 1
            if steps % STEPS == 0 and should_stop():
                raise ParseStopped
            self._next = []
            rule(self, node)
            if self._next:
                waiting.extend(reversed(self._next))

    def around(self, node: Node) -> Span:
        """The node at hand with its wrappers."""
        return self._span or span_of(node)

    @property
    def last(self) -> Symbol | None:
        """The symbol added last beside the node at hand."""
        beside = self.symbols if self.parent is None else self.parent.children
        return beside[-1] if beside else None

    def text(self, node: Node) -> str:
        """A node's text."""
        return text_of(node, self.source)

    def add(
        self,
        kind: str,
        name: str,
        node: Node,
        *,
        span: Span | None = None,
        signature: Callable[[], str] | str = "",
        parent: Symbol | None = None,
    ) -> Symbol:
        """Add a symbol below `parent` (by default, below the one that holds the node at hand).

        `span` is its declaration when that is neither the node nor the node with its wrappers. A
        function directly inside a type becomes a `method`.
        """
        parent = parent or self.parent
        if kind == "fn" and parent is not None and parent.kind in TYPE_KINDS:
            kind = "method"
        span = span or (self.around(node) if parent is self.parent else span_of(node))
        if node.type in self.table.closed:
            span = Span(span.start, _closed(self.source, span.end))
        symbol = Symbol(
            kind=kind,
            name=name,
            declaration=span,
            extend=self._full,
            node=node,
            syntax=self.syntax,
            signed=signature,
        )
        (self.symbols if parent is None else parent.children).append(symbol)
        return symbol

    def enter(
        self,
        *nodes: Node,
        parent: Symbol | None = None,
        level: Level | None = None,
        span: Span | None = None,
    ) -> None:
        """Go on with the children of `nodes`, as members of `parent` (by default, as siblings)."""
        holder = parent or self.parent
        where = self.level if level is None else level
        leading, steps, found = self.table.leading, self.table.steps, self._next
        words = self.table.local_words if where is Level.LOCAL else ()
        is_inside = self._is_meant(parent)
        for node in nodes:
            if not is_inside and not self._leads(node):
                continue
            if words and not holds_any(self.source, words, node.start_byte, node.end_byte):
                continue
            first = -1
            for child in node.named_children:
                kind = child.type
                rule = steps.get(kind)
                if kind in leading:
                    first = child.start_byte if first < 0 else first
                elif rule is not None:
                    around = span if span or first < 0 else Span(first, child.end_byte)
                    found.append((rule, child, holder, where, around, is_inside))
                    first = -1
                elif kind not in self.syntax.comments:
                    first = -1

    def _is_meant(self, parent: Symbol | None) -> bool:
        """Whether everything inside a new parent, or else where we are, matters."""
        if self._is_inside or not self.words:
            return True
        return parent is not None and any(word in parent.name.encode() for word in self.words)

    def _leads(self, node: Node) -> bool:
        """Whether a symbol that is asked for may be inside a node."""
        start, end = node.start_byte, node.end_byte
        return any(self.source.find(word, start, end) >= 0 for word in self.words)

    def visit(self, *nodes: Node, parent: Symbol | None = None, level: Level | None = None) -> None:
        """Go on with `nodes` themselves."""
        where, is_inside = self.level if level is None else level, self._is_meant(parent)
        for node in nodes:
            rule = self.table.steps.get(node.type)
            if rule is not None:
                self._next.append((rule, node, parent or self.parent, where, None, is_inside))

    def members(self, symbol: Symbol, *nodes: Node | None) -> None:
        """Go on inside a declaration: what is bound in a callable is local."""
        level = Level.LOCAL if symbol.kind in CALLABLE_KINDS else Level.DECLARES
        self.enter(*(node for node in nodes if node is not None), parent=symbol, level=level)

    def signature(self, node: Node, parameters: Node | None = None) -> str:
        """Parameters and result of a callable, as written, on one line."""
        if parameters is None:
            parameters = node.child_by_field_name("parameters")
        text = self.written(parameters) if parameters is not None else ""
        for name, before in self.table.results:
            result = node.child_by_field_name(name)
            if result is not None:
                text += before + self.written(result)
        return cut(text)

    def written(self, node: Node) -> str:
        """A node on one line: white space collapsed, comments left out, no trailing comma."""
        kept, start = self.source[node.start_byte : node.end_byte], node.start_byte
        if b"\n" in kept:
            comments = [one for one in descend(node) if one.type in self.syntax.comments]
            for inner in reversed(comments):
                kept = kept[: inner.start_byte - start] + kept[inner.end_byte - start :]
        text = _SPACES.sub(" ", kept.decode("utf-8", "replace"))
        return text.replace("( ", "(").replace(", )", ")").replace(",)", ")").replace(" )", ")")

    def _full(self, span: Span) -> Span:
        """`span` with its comments and attributes; `#!` and encoding lines belong to no symbol."""
        kinds = self.syntax.comments | self.syntax.attributes
        full = with_comments(self.root, self.source, span, kinds=kinds)
        start, line = 0, 1
        while full.start < span.start and line <= _FILE_LINES and start <= full.start:
            end = self.source.index(b"\n", start) + 1
            if start == full.start and _is_file_line(self.source[start:end], line):
                full = Span(end, full.end)
            start, line = end, line + 1
        return full


def _inside(walk: Walk, node: Node) -> None:
    walk.enter(node)


def _local(walk: Walk, node: Node) -> None:
    walk.enter(node, level=Level.LOCAL)


def _wrapper(walk: Walk, node: Node) -> None:
    walk.enter(node, span=walk.around(node))


def _statement(walk: Walk, node: Node) -> None:
    declarator = walk.table.statements[node.type]
    alone = sum(child.type == declarator for child in node.named_children) == 1
    if alone and not any(child.type == "(" for child in node.children):
        walk.enter(node, span=walk.around(node))
    else:
        walk.enter(node)


def declares(
    kind: str,
    *,
    name: str = "name",
    parameters: str = "parameters",
    body: str = "body",
    needs_body: bool = False,
    bare: str = "",
) -> Rule:
    """A node with its name, parameters and body in these fields is one symbol; bodies are entered.

    Without a name it is none, and its body is looked into all the same. `bare` is the signature of
    a callable whose grammar has no node for empty parameters.
    """
    has_signature = kind in CALLABLE_KINDS or kind == "proto"

    def rule(walk: Walk, node: Node) -> None:
        named = node.child_by_field_name(name)
        inner = node.child_by_field_name(body)
        if named is None:
            if inner is not None:
                walk.enter(inner, level=Level.LOCAL)
            return
        if needs_body and inner is None:
            return
        symbol = walk.add(kind, walk.text(named), node)
        if has_signature:
            symbol.signed = lambda: (
                walk.signature(node, node.child_by_field_name(parameters)) or bare
            )
        walk.members(symbol, inner)

    return rule


def binds(kind: str, *, name: str = "name") -> Rule:
    """A node with its name in a field is one symbol where bindings are."""

    def rule(walk: Walk, node: Node) -> None:
        named = node.child_by_field_name(name)
        if named is not None and walk.level is Level.DECLARES:
            walk.add(kind, walk.text(named), node)

    return rule


def span_of(node: Node) -> Span:
    """A node's bytes."""
    return Span(node.start_byte, node.end_byte)


def text_of(node: Node, source: bytes) -> str:
    """A node's text."""
    return source[node.start_byte : node.end_byte].decode("utf-8", "replace")


def cut(signature: str) -> str:
    """A signature within its bound."""
    if len(signature) <= SIGNATURE_CHARS_MAX:
        return signature
    return signature[: SIGNATURE_CHARS_MAX - 1] + "…"


def descend(node: Node) -> Iterator[Node]:
    """Every named node below `node`, in document order."""
    waiting = node.named_children[::-1]
    while waiting:
        inner = waiting.pop()
        yield inner
        waiting.extend(reversed(inner.named_children))


def import_block(nodes: Iterable[Node], syntax: Syntax) -> Span | None:
    """The first unbroken run of imports among siblings; comments inside the run belong to it."""
    start, end = -1, -1
    for node in nodes:
        if node.type in syntax.imports:
            start = node.start_byte if start < 0 else start
            end = node.end_byte
        elif start >= 0 and node.type not in syntax.comments:
            break
    return Span(start, end) if start >= 0 else None


def with_comments(root: Node, source: bytes, span: Span, *, kinds: frozenset[str]) -> Span:
    """`span` and the nodes of `kinds` (comments, attributes) directly above, equally indented.

    A blank line ends the run. A declaration that does not begin its line takes nothing, and neither
    does a node that shares its lines with something else.
    """
    indent = _indent(source, span.start)
    if indent is None:
        return span
    start = span.start
    while (above := _node_above(root, source, start, kinds=kinds)) is not None:
        if _indent(source, above.start_byte) != indent:
            break
        start = above.start_byte
    return Span(start, span.end)


def _node_above(root: Node, source: bytes, start: int, *, kinds: frozenset[str]) -> Node | None:
    """The node of `kinds` that ends on the line before the one `start` is on."""
    end = source.rfind(b"\n", 0, start)
    if end < 0:
        return None
    first = source.rfind(b"\n", 0, end) + 1
    last = len(source[first:end].rstrip())
    if last == 0:
        return None
    at = first + last - 1
    node = root.descendant_for_byte_range(at, at + 1)
    while node is not None and node.type not in kinds:
        node = node.parent
        if node is not None and node.end_byte > start:
            return None
    return node


def _indent(source: bytes, start: int) -> bytes | None:
    """The white space before `start` on its line; None when something else stands there."""
    before = source[source.rfind(b"\n", 0, start) + 1 : start]
    return before if not before.strip(b" \t") else None


def _closed(source: bytes, end: int) -> int:
    """Behind the `;` that follows on the same line, if one does."""
    at = end
    while source[at : at + 1] in (b" ", b"\t"):
        at += 1
    return at + 1 if source[at : at + 1] == b";" else end


def _is_file_line(line: bytes, number: int) -> bool:
    return (number == 1 and line.startswith(b"#!")) or bool(_ENCODING_LINE.match(line))
