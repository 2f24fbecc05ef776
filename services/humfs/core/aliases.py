"""The seven words that walk into a symbol: body, when, otherwise, loop, try, return, call.

Counting is in document order below the place at hand and does not enter a node that was counted: a
call among the arguments of a call is `call#1.call`. Which nodes a word means is a language's
`Walks`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from tree_sitter import Node

from humfs.core.syntax import Walks
from humfs.core.text import Span

WORDS = frozenset({"body", "when", "otherwise", "loop", "try", "return", "call"})

_BODY_FIELDS = ("body", "consequence")


@dataclass(frozen=True, slots=True)
class Inside:
    """A place inside a symbol."""

    span: Span
    nodes: tuple[Node, ...]
    """What is there: mostly one node; the statements of a block that is no node; the construct
    behind a keyword that is part of the place."""
    is_node: bool = False
    """Whether the place is its one node, no more and no less."""


def at(node: Node) -> Inside:
    """A node as a place, without white space that its grammar counts in."""
    text = node.text or b""
    start = node.start_byte + len(text) - len(text.lstrip())
    return Inside(Span(start, node.start_byte + len(text.rstrip())), (node,), is_node=True)


def step(place: Inside, word: str, number: int, walks: Walks) -> Inside | None:
    """The place that `word#number` selects at `place`; None when there is none."""
    if word == "body":
        return _body(place, walks) if number == 1 else None
    found: Iterator[Inside]
    if word == "otherwise":
        held = _held(place, walks)
        found = _clauses(held.nodes[0], walks) if held.is_node else iter(())
    else:
        found = map(at, _below(place, _counted(word, walks)))
    return next(islice(found, number - 1, None), None)


def _counted(word: str, walks: Walks) -> frozenset[str]:
    return {
        "when": walks.when,
        "loop": walks.loop,
        "try": walks.try_,
        "return": walks.return_,
        "call": walks.call,
    }[word]


def _below(place: Inside, types: frozenset[str]) -> Iterator[Node]:
    """Nodes of these types inside a place, outermost only; a place that is a node is none."""
    nodes = place.nodes[0].named_children if place.is_node else list(place.nodes)
    waiting = nodes[::-1]
    while waiting:
        inner = waiting.pop()
        if inner.start_byte >= place.span.end:
            continue
        if inner.type in types and inner.end_byte <= place.span.end:
            yield inner
        else:
            waiting.extend(reversed(inner.named_children))


def _held(place: Inside, walks: Walks) -> Inside:
    """The construct that a binding or a wrapper holds."""
    while place.is_node and place.nodes[0].type in walks.holders:
        node = place.nodes[0]
        name = walks.holders[node.type]
        inner = node.child_by_field_name(name) if name else node.named_child(0)
        if inner is None:
            break
        place = at(inner)
    return place


def _clauses(node: Node, walks: Walks) -> Iterator[Inside]:
    """The alternative clauses of a construct, each with its keyword.

    One that holds nothing but the next condition ends where the clauses of that begin, so that a
    chain is the same whether its grammar nests it or not.
    """
    chained: Node | None = node
    while chained is not None:
        construct, chained = chained, None
        for start, clause in _alternatives(construct, walks):
            chained = _chained(clause, walks)
            if chained is None:
                span = Span(start, at(clause).span.end)
                yield Inside(span, (clause,), is_node=start == clause.start_byte)
            else:
                yield Inside(Span(start, _first_end(chained, walks)), (chained,))


def _alternatives(node: Node, walks: Walks) -> Iterator[tuple[int, Node]]:
    """The clauses directly in a construct, each with where its keyword starts."""
    keyword: Node | None = None
    alternatives = {one.id for one in node.children_by_field_name("alternative")}
    for inner in node.children:
        if inner.is_named and inner.type in walks.otherwise:
            yield inner.start_byte, inner
        elif inner.is_named and inner.id in alternatives:
            yield (inner if keyword is None else keyword).start_byte, inner
        keyword = None if inner.is_named else inner


def _chained(clause: Node, walks: Walks) -> Node | None:
    """The condition that a clause consists of; None for a clause that ends a chain."""
    if clause.type in walks.when or clause.child_by_field_name("alternative") is not None:
        return clause
    inner = clause.named_children
    return inner[0] if len(inner) == 1 and inner[0].type in walks.when else None


def _first_end(node: Node, walks: Walks) -> int:
    """Where a condition ends without its alternatives."""
    start = next((start for start, _ in _alternatives(node, walks)), node.end_byte)
    return max(one.end_byte for one in node.children if one.end_byte <= start)


def _body(place: Inside, walks: Walks) -> Inside | None:
    place = _held(place, walks)
    if len(place.nodes) != 1:
        return None
    node = place.nodes[0]
    if node.type in walks.openers:
        return _opened(node, walks)
    if not place.is_node and node.type in walks.blocks:
        return at(node)
    inner = next((one for name in _BODY_FIELDS if (one := node.child_by_field_name(name))), None)
    if inner is None:
        blocks = [one for one in node.named_children if one.type in walks.blocks]
        is_clause = node.type in walks.otherwise and node.named_child_count > 0
        inner = blocks[-1] if blocks else node.named_children[-1] if is_clause else None
    if inner is None:
        return None if place.is_node else at(node)
    if inner.type in walks.lists:
        return _all(inner.named_children)
    return _held(at(inner), walks) if inner.type in walks.holders else at(inner)


def _opened(node: Node, walks: Walks) -> Inside | None:
    """What stands behind the opening word of a construct."""
    inner: list[Node] = []
    is_open = False
    for child in node.children:
        if not is_open:
            is_open = child.type == walks.openers[node.type]
        elif child.type in walks.otherwise if child.is_named else child.type.isalpha():
            break
        elif child.is_named:
            inner.append(child)
    return _all(inner)


def _all(nodes: list[Node]) -> Inside | None:
    """Statements in a row as one place."""
    if not nodes:
        return None
    return Inside(Span(nodes[0].start_byte, at(nodes[-1]).span.end), tuple(nodes))
