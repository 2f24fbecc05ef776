"""Globs: `*` and `?` within a name, `**` as a whole segment, `{a,b}`; brackets are literal.

A glob is split into the part without wildcards, which the edge opens, and patterns of segments,
which `Glob` matches while the edge walks: one state per way to match what was walked so far.
"""

import re
from dataclasses import dataclass

from humfs.errors import Code, Refusal

ALTERNATIVES_MAX = 256
"""Patterns that `{a,b}` may multiply to."""
SEGMENTS_MAX = 64
WILDCARDS = "*?{"

_BRACE = re.compile(r"\{([^{}]*)\}")

State = frozenset[tuple[int, int]]
"""Positions reached: (pattern, segment)."""


@dataclass(frozen=True, slots=True)
class Glob:
    """Patterns below a directory. Made by `parse`."""

    base: str
    """The longest leading part without a wildcard, as asked; empty for the start directory."""
    patterns: tuple[tuple[str, ...], ...]

    def start(self) -> State:
        """The state in the base directory."""
        return self._closed({(at, 0) for at in range(len(self.patterns))})

    def enter(self, state: State, name: str) -> State:
        """The state in the sub-directory `name`; empty when nothing below it can match."""
        reached = set()
        for at, position in state:
            segments = self.patterns[at]
            if position < len(segments) and segments[position] == "**":
                reached.add((at, position))
            elif position + 1 < len(segments) and matches(name, segments[position]):
                reached.add((at, position + 1))
        return self._closed(reached)

    def takes(self, state: State, name: str) -> bool:
        """Whether a file of this name matches here."""
        for at, position in state:
            last = position == len(self.patterns[at]) - 1
            if last and (self.patterns[at][-1] == "**" or matches(name, self.patterns[at][-1])):
                return True
        return False

    def names(self, state: State, name: str) -> bool:
        """Whether a pattern spells this directory out: it is entered whatever it is called."""
        return any(
            position < len(self.patterns[at]) and self.patterns[at][position] == name
            for at, position in state
        )

    def _closed(self, state: set[tuple[int, int]]) -> State:
        """`state` and what it becomes when each `**` stands for nothing."""
        waiting = list(state)
        while waiting:
            at, position = waiting.pop()
            segments = self.patterns[at]
            step = (at, position + 1)
            is_deep = position < len(segments) - 1 and segments[position] == "**"
            if is_deep and step not in state:
                state.add(step)
                waiting.append(step)
        return frozenset(state)


def is_glob(path: str) -> bool:
    """Whether a path that does not exist literally is a glob."""
    return "*" in path or "?" in path or ("{" in path and "}" in path)


def parse(path: str) -> Glob:
    """Read a glob; raises `Refusal` for one that is too wide or climbs after a wildcard."""
    at = min(path.index(char) for char in WILDCARDS if char in path)
    cut = path.rfind("/", 0, at) + 1
    patterns = []
    for pattern in _alternatives(path[cut:]):
        segments = tuple(part for part in pattern.split("/") if part not in ("", "."))
        if ".." in segments or len(segments) > SEGMENTS_MAX:
            raise Refusal(
                Code.BAD_ARGS,
                "file_path: a glob has no `..` after a wildcard, and at most "
                f"{SEGMENTS_MAX} names: {path}",
                hint="Start the glob at the directory you mean.",
            )
        if segments:
            patterns.append(segments)
    return Glob(path[:cut], tuple(dict.fromkeys(patterns)))


def matches(name: str, pattern: str) -> bool:
    """Whether a name matches one segment. Takes at most len(name) * len(pattern) steps."""
    at = here = mark = 0
    star = -1
    while at < len(name):
        if here < len(pattern) and pattern[here] == "*":
            star, mark = here, at
            here += 1
        elif here < len(pattern) and pattern[here] in (name[at], "?"):
            at, here = at + 1, here + 1
        elif star >= 0:
            mark += 1
            at, here = mark, star + 1
        else:
            return False
    return pattern[here:].strip("*") == ""


def _alternatives(pattern: str) -> list[str]:
    """The pattern with `{a,b}` written out; a brace without a partner is literal."""
    done: list[str] = []
    waiting = [pattern]
    while waiting:
        text = waiting.pop()
        brace = _BRACE.search(text)
        if brace is None:
            done.append(text)
        else:
            options = brace[1].split(",")
            parts = (text[: brace.start()], text[brace.end() :])
            waiting.extend(option.join(parts) for option in options[::-1])
        if len(done) + len(waiting) > ALTERNATIVES_MAX:
            raise Refusal(
                Code.BAD_ARGS,
                f"file_path: the glob has more than {ALTERNATIVES_MAX} alternatives.",
                hint="Ask in several calls.",
            )
    return done
