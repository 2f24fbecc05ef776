"""What a language module provides, and the tree walking they share."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from tree_sitter import Node

from humfs.core.symbols import SIGNATURE_CHARS_MAX, Outline
from humfs.core.text import Span

ShouldStop = Callable[[], bool]
"""Asked now and then during a parse; True ends it with `ParseStopped`."""

_SPACES = re.compile(r"\s+")


class ParseStopped(Exception):
    """A parse was ended by its `ShouldStop`: out of time, or cancelled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Walks:
    """Which nodes the alias words select in one language (see `core.aliases`)."""

    when: frozenset[str]
    loop: frozenset[str]
    try_: frozenset[str]
    return_: frozenset[str]
    call: frozenset[str]
    otherwise: frozenset[str]
    """Alternative clauses that are nodes of their own below the construct."""
    bodies: dict[str, str] = field(default_factory=dict)
    """Construct -> the field that holds its block. Others: their last child of a type in
    `blocks`."""
    blocks: frozenset[str] = frozenset()
    wrappers: dict[str, str] = field(default_factory=dict)
    """Nodes that only wrap a construct -> the field that holds it."""


class Language(Protocol):
    """Makes outlines. One instance per language, safe from any thread."""

    @property
    def name(self) -> str:
        """As shown: `python`."""

    @property
    def walks(self) -> Walks:
        """The node types of the alias words."""

    def outline(self, source: bytes, should_stop: ShouldStop = lambda: False) -> Outline:
        """Parse and outline; broken source gives what can be made out. Raises `ParseStopped`."""


def span_of(node: Node) -> Span:
    """A node's bytes."""
    return Span(node.start_byte, node.end_byte)


def text_of(node: Node, source: bytes) -> str:
    """A node's text."""
    return source[node.start_byte : node.end_byte].decode("utf-8", "replace")


def written(node: Node, source: bytes, *, without: str = "comment") -> str:
    """A node on one line: white space collapsed, comments left out, no trailing comma."""
    kept, start = source[node.start_byte : node.end_byte], node.start_byte
    if b"\n" in kept:
        for inner in reversed([one for one in descend(node) if one.type == without]):
            kept = kept[: inner.start_byte - start] + kept[inner.end_byte - start :]
    text = _SPACES.sub(" ", kept.decode("utf-8", "replace"))
    return text.replace("( ", "(").replace(", )", ")").replace(",)", ")").replace(" )", ")")


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


def with_comments(root: Node, source: bytes, span: Span, *, kinds: frozenset[str]) -> Span:
    """`span` and the nodes of `kinds` (comments, attributes) directly above, equally indented.

    A blank line ends the run. A declaration that does not begin its line takes nothing.
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
    last = len(source[source.rfind(b"\n", 0, end) + 1 : end].rstrip())
    if last == 0:
        return None
    at = source.rfind(b"\n", 0, end) + last
    node = root.descendant_for_byte_range(at, at + 1)
    return node if node is not None and node.type in kinds else None


def _indent(source: bytes, start: int) -> bytes | None:
    """The white space before `start` on its line; None when something else stands there."""
    before = source[source.rfind(b"\n", 0, start) + 1 : start]
    return before if not before.strip(b" \t") else None
