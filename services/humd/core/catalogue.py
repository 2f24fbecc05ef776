"""What humd adds to a prompt: the tools of every connected forager, and what they make superfluous.

Every tool of every forager is listed, each under one name: its own, when no other forager and no
tool of the asker has that name and every model takes it; else a qualified one, made of hive and
name; and when that is taken too, one with a digest of the forager's hid. A tool answers to all
three, so a name that was listed once stays good. The forager sees its own. Foragers with roots
share a tool of one name: it is listed once, and `core.sharing` says who gets a call.

The result is kept packed, because it changes only when a bee comes or goes and every prompt needs
it.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Set
from typing import NamedTuple

from humd.core.budgets import is_open
from humd.core.clients import Client
from humd.core.hellos import EMPTY_SCHEMA
from thrum import frames
from thrum.tones import Body

RESERVED: dict[str, tuple[str, ...]] = {
    "fs": ("Bash", "Edit", "Glob", "Grep", "MultiEdit", "Read", "Write")
}
"""Names of a harness's own tools that a capability replaces."""
DEFAULT_CWD = "/"
"""Replay must not read the environment, so an absent cwd is the root of the file system."""
NAME_CHARS_MAX = 64
"""The longest name of a tool that every model takes."""
DIGEST_CHARS = 8
_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ODD = re.compile(r"[^A-Za-z0-9_-]+")


class Offer(NamedTuple):
    """A forager's tool, under the name that the forager gave it."""

    forager: Client
    name: str


class _Tool(NamedTuple):
    """One tool and the names it answers to, the one to be listed first."""

    bee: Client
    own: Body
    names: tuple[str, ...]

    def listed(self, taken: Set[str]) -> Body:
        """The entry of a catalogue in which some names are taken by others."""
        name = next((name for name in self.names if name not in taken), self.names[-1])
        if name == self.own["name"]:
            return self.own
        description = f"[{self.bee.name}] {self.own['description']}"
        return {**self.own, "name": name, "description": description, "bee": self.bee.name}


class Catalogue:
    """Tools by name, and the entries that every prompt gets."""

    def __init__(self, foragers: Iterable[Client]) -> None:
        """Take the connected foragers in order; the first with a name answers to it alone."""
        bees = list(foragers)
        self._tools = list(_named(bees))
        self.offers: dict[str, Offer] = {}
        leads = _leads(bees)
        offered = [(bee, tool["name"]) for bee in bees for tool in _once(bee.tools)]
        named = [(bee, own, _all_names(bee, own)) for bee, own in offered]
        for field in ("exact", "own", "qualified"):
            for bee, own, names in named:
                lead = leads.get(own, bee) if bee.files is not None else bee
                self.offers.setdefault(getattr(names, field), Offer(lead, own))
        self._listed = [tool.listed(frozenset()) for tool in self._tools]
        self.names = frozenset(entry["name"] for entry in self._listed)
        """Under what names the tools are listed when the asker has none of its own."""
        provided = sorted({tag for bee in bees for tag in bee.provides})
        self._reserved = sorted({name for tag in provided for name in RESERVED.get(tag, ())})
        entries: dict[str, list[Body] | list[str]] = {
            "foragerTools": self._listed,
            "provided": provided,
            "disallowedTools": self._reserved,
        }
        self._packed = {key: _pack(key, value) for key, value in entries.items() if value}

    def offer(self, tool: str) -> Offer | None:
        """The connected forager's tool that answers to this name."""
        return self.offers.get(tool)

    def enrich(
        self, raw: bytes, body: Body, asker_tools: Set[str], open_tools: tuple[str, ...] = ()
    ) -> bytes:
        """The prompt's body as the worker gets it; what the asker wrote keeps its bytes.

        Of the tools only those are listed that `open_tools` names.

        Only an asker's own `disallowedTools` is rewritten, as the union with ours, and its `tools`
        when one of them has no schema.
        """
        packed = self._packed
        if open_tools or not asker_tools.isdisjoint(self.names):
            tools = [tool for tool in self._tools if is_open(tool.own["name"], open_tools)]
            listed = [tool.listed(asker_tools) for tool in tools]
            packed = {**packed, "foragerTools": _pack("foragerTools", listed)}
        added = [entry for key, entry in packed.items() if key not in body]
        if "cwd" not in body:
            added.append(_pack("cwd", DEFAULT_CWD))
        text = body.get("text")
        if "content" not in body and isinstance(text, str) and text:
            added.append(_pack("content", text))
        changed = self._mended(body)
        if changed:
            raw = frames.pack_body({**body, **changed})
        return frames.extend_body(raw, b"".join(added), len(added))

    def _mended(self, body: Body) -> Body:
        """What of the asker's own must be written anew."""
        changed: Body = {}
        theirs = body.get("disallowedTools")
        if self._reserved and "disallowedTools" in body:
            names = theirs if isinstance(theirs, list) else [theirs]
            changed["disallowedTools"] = sorted(
                {*self._reserved, *(name for name in names if isinstance(name, str))}
            )
        tools = body.get("tools")
        if isinstance(tools, list) and not all(map(_has_schema, tools)):
            changed["tools"] = [
                tool if _has_schema(tool) else {**tool, "inputSchema": EMPTY_SCHEMA}
                for tool in tools
            ]
        return changed


def _named(bees: list[Client]) -> Iterator[_Tool]:
    """Every tool with the names that are good for a list of all of them."""
    leads = _leads(bees)
    offered = [
        (bee, tool)
        for bee in bees
        for tool in _once(bee.tools)
        if bee.files is None or leads[tool["name"]] is bee
    ]
    how_often = Counter(tool["name"] for _, tool in offered)
    used = {name for name, count in how_often.items() if count == 1 and _PLAIN.fullmatch(name)}
    names = [_all_names(bee, tool["name"]) for bee, tool in offered]
    exacts = {one.exact for one in names}
    used -= exacts  # whoever calls its tool so would get the calls of another
    again = Counter(one.qualified for one in names)
    for (bee, tool), (own, qualified, exact) in zip(offered, names, strict=True):
        is_free = again[qualified] == 1 and qualified not in used - {own} | exacts
        others = (qualified, exact) if is_free else (exact,)
        yield _Tool(bee, tool, (own, *others) if own in used else others)


def _leads(bees: Iterable[Client]) -> dict[str, Client]:
    """By tool that foragers with roots share, the one that stands for all of them."""
    sharers = sorted((bee for bee in bees if bee.files is not None), key=lambda bee: bee.lead)
    return {tool["name"]: bee for bee in reversed(sharers) for tool in bee.tools}


class _Names(NamedTuple):
    """What one tool may be called."""

    own: str
    qualified: str
    """With its hive."""
    exact: str
    """With a digest of its forager's hid: no other bee's tool has it."""


def _all_names(bee: Client, own: str) -> _Names:
    base = _ODD.sub("_", f"{bee.name}_{own}")
    qualified = base if len(base) <= NAME_CHARS_MAX else _with_digest(base, base)
    return _Names(own, qualified, _with_digest(base, f"{bee.hid or bee.id}:{own}"))


def _with_digest(base: str, of: str) -> str:
    digest = hashlib.sha256(of.encode("utf-8", "surrogatepass")).hexdigest()[:DIGEST_CHARS]
    return f"{base[: NAME_CHARS_MAX - DIGEST_CHARS - 1]}_{digest}"


def _once(tools: Iterable[Body]) -> Iterable[Body]:
    """The tools of one bee, the first of each name."""
    first: dict[str, Body] = {}
    for tool in tools:
        first.setdefault(tool["name"], tool)
    return first.values()


def _has_schema(tool: object) -> bool:
    """Whether an asker's tool can stay as it is; what is no tool is the worker's to ignore."""
    if not isinstance(tool, dict):
        return True
    return any(isinstance(tool.get(key), dict) for key in ("inputSchema", "parameters"))


def _pack(key: str, value: object) -> bytes:
    """One entry of a map, packed without the map."""
    return frames.pack_body({key: value})[1:]
