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


def at(node: Node) -> Inside:
    """A node as the place where a walk starts."""
    return Inside(Span(node.start_byte, node.end_byte), (node,))


def step(place: Inside, word: str, number: int, walks: Walks) -> Inside | None:
    """The place that `word#number` selects at `place`; None when there is none."""
    if word == "body":
        return _body(place, walks) if number == 1 else None
    if word == "otherwise":
        return next(islice(_clauses(_held(place, walks), walks), number - 1, None), None)
    found = next(islice(_below(place, _counted(word, walks)), number - 1, None), None)
    return at(found) if found is not None else None


def _counted(word: str, walks: Walks) -> frozenset[str]:
    return {
        "when": walks.when,
        "loop": walks.loop,
        "try": walks.try_,
        "return": walks.return_,
        "call": walks.call,
    }[word]


def _below(place: Inside, types: frozenset[str]) -> Iterator[Node]:
    """Nodes of these types below a place; those of a place of several nodes may be its own."""
    single = len(place.nodes) == 1 and _starts(place)
    waiting = place.nodes[0].named_children[::-1] if single else [*reversed(place.nodes)]
    while waiting:
        inner = waiting.pop()
        if inner.type in types:
            yield inner
        else:
            waiting.extend(reversed(inner.named_children))


def _starts(place: Inside) -> bool:
    """Whether a place is its node, and not a node behind a keyword."""
    return place.nodes[0].start_byte == place.span.start


def _held(place: Inside, walks: Walks) -> Inside:
    """The construct that a binding or a wrapper holds."""
    while len(place.nodes) == 1 and place.nodes[0].type in walks.holders:
        inner = place.nodes[0].child_by_field_name(walks.holders[place.nodes[0].type])
        if inner is None:
            break
        place = at(inner)
    return place


def _clauses(place: Inside, walks: Walks) -> Iterator[Inside]:
    """The alternative clauses of a construct, each with its keyword."""
    if len(place.nodes) != 1:
        return
    keyword: Node | None = None
    alternatives = {one.id for one in place.nodes[0].children_by_field_name("alternative")}
    for inner in place.nodes[0].children:
        if inner.type in walks.otherwise:
            yield at(inner)
        elif inner.id in alternatives:
            start = inner.start_byte if keyword is None else keyword.start_byte
            yield Inside(Span(start, inner.end_byte), (inner,))
        keyword = None if inner.is_named else inner


def _body(place: Inside, walks: Walks) -> Inside | None:
    place = _held(place, walks)
    if len(place.nodes) != 1:
        return None
    node = place.nodes[0]
    if node.type in walks.openers:
        return _opened(node, walks)
    if not _starts(place) and node.type in walks.blocks:
        return at(node)
    for name in _BODY_FIELDS:
        inner = node.child_by_field_name(name)
        if inner is not None:
            return at(inner)
    blocks = [inner for inner in node.named_children if inner.type in walks.blocks]
    if blocks:
        return at(blocks[-1])
    return at(node) if not _starts(place) else None


def _opened(node: Node, walks: Walks) -> Inside | None:
    """What stands behind the opening word of a construct."""
    inner: list[Node] = []
    is_open = False
    for child in node.children:
        if not is_open:
            is_open = child.type == walks.openers[node.type]
        elif child.type in walks.otherwise or not child.is_named:
            break
        else:
            inner.append(child)
    return Inside(Span(inner[0].start_byte, inner[-1].end_byte), tuple(inner)) if inner else None
