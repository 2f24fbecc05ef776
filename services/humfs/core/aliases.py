"""The seven words that walk into a symbol: body, when, otherwise, loop, try, return, call.

Counting is in document order below the node at hand and does not enter a node that was counted: a
call among the arguments of a call is `call#1.call`. Which nodes a word means is a language's
`Walks`.
"""

from collections.abc import Iterator

from tree_sitter import Node

from humfs.core.languages.language import Walks

WORDS = frozenset({"body", "when", "otherwise", "loop", "try", "return", "call"})


def step(node: Node, word: str, number: int, walks: Walks) -> Node | None:
    """The node that `word#number` selects at `node`; None when there is none."""
    if word == "body":
        return _body(node, walks) if number == 1 else None
    found = _clauses(node, walks) if word == "otherwise" else _below(node, _counted(word, walks))
    for at, inner in enumerate(found, start=1):
        if at == number:
            return inner
    return None


def _counted(word: str, walks: Walks) -> frozenset[str]:
    return {
        "when": walks.when,
        "loop": walks.loop,
        "try": walks.try_,
        "return": walks.return_,
        "call": walks.call,
    }[word]


def _below(node: Node, types: frozenset[str]) -> Iterator[Node]:
    waiting = node.named_children[::-1]
    while waiting:
        inner = waiting.pop()
        if inner.type in types:
            yield inner
        else:
            waiting.extend(reversed(inner.named_children))


def _clauses(node: Node, walks: Walks) -> Iterator[Node]:
    return (inner for inner in node.named_children if inner.type in walks.otherwise)


def _body(node: Node, walks: Walks) -> Node | None:
    while node.type in walks.wrappers:
        inner = node.child_by_field_name(walks.wrappers[node.type])
        if inner is None:
            return None
        node = inner
    if node.type in walks.bodies:
        return node.child_by_field_name(walks.bodies[node.type])
    blocks = [inner for inner in node.named_children if inner.type in walks.blocks]
    return blocks[-1] if blocks else None
