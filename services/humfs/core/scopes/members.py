"""Members and elements of nested values, and the paths that lead to them.

A path is keys joined by dots, positions as `[i]` or `.i`. Keys may hold dots themselves: a key is
taken wherever it begins what is left of a path. A path that leads nowhere from the top may start at
any depth.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from tree_sitter import Node

from humfs.core.text import Span

PATHS_MAX = 10_000
"""Places that one path is tried at, or leads to."""

_POSITION = re.compile(r"\[([0-9]{1,9})\]|([0-9]{1,9})(?=\.|\[|$)")


@dataclass(slots=True)
class Member:
    """One member of a mapping, or one element of a list."""

    span: Span
    """With its key, without what separates it from others."""
    value: Span | None
    """None when there is none."""
    node: Node
    key: str | None
    """None for an element."""
    key_span: Span | None = None
    parent: "Member | None" = None
    children: list["Member"] = field(default_factory=list)
    is_list: bool = False
    """Whether the children are elements."""

    def below(self) -> Iterator["Member"]:
        """Every member inside, parents before children, in file order."""
        waiting = self.children[::-1]
        while waiting:
            member = waiting.pop()
            yield member
            waiting.extend(reversed(member.children))


def resolve(tops: list[Member], path: str) -> list[Member]:
    """The members a path means: from the tops, else from any depth."""
    found = [member for top in tops for member in _from(top, path)]
    if not found:
        for top in tops:
            for holder in top.below():
                found += _from(holder, path)
                if len(found) >= PATHS_MAX:
                    break
    return list({id(one): one for one in found}.values())[:PATHS_MAX]


def innermost(tops: list[Member], found: Span) -> Member | None:
    """The smallest member around a span."""
    best: Member | None = None
    among = tops
    while True:
        inside = [
            inner
            for one in among
            for inner in one.children
            if inner.span.start <= found.start and inner.span.end >= found.end
        ]
        if not inside:
            return best
        best = inside[0]
        among = inside


def _from(holder: Member, path: str) -> list[Member]:
    """The members a path means below a holder; shorter keys first."""
    found: list[Member] = []
    waiting = [(holder, path)]
    while waiting and len(found) < PATHS_MAX:
        at, left = waiting.pop(0)
        if at.is_list:
            position = _POSITION.match(left)
            if position is None:
                continue
            index, rest = int(position[1] or position[2]), left[position.end() :]
            inner = at.children[index : index + 1]
            steps = [(one, rest) for one in inner]
        else:
            keyed = [one for one in at.children if one.key is not None and one.key != ""]
            steps = [
                (one, left[len(one.key or "") :])
                for one in sorted(keyed, key=lambda one: len(one.key or ""))
                if left.startswith(one.key or "\0")
            ]
        for one, rest in steps:
            if not rest:
                found.append(one)
            elif rest[0] == "[" or (rest[0] == "." and len(rest) > 1):
                waiting.append((one, rest.removeprefix(".")))
    return found
