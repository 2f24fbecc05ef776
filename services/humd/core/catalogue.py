"""What humd adds to a prompt: the tools of every connected forager, and what they make superfluous.

The result is kept packed, because it changes only when a bee comes or goes and every prompt needs
it.
"""

from collections.abc import Iterable

from humd.core.clients import Client
from thrum import frames
from thrum.tones import Body

RESERVED: dict[str, tuple[str, ...]] = {
    "fs": ("Bash", "Edit", "Glob", "Grep", "MultiEdit", "Read", "Write")
}
"""Names of a harness's own tools that a capability replaces."""
DEFAULT_CWD = "/"
"""Replay must not read the environment, so an absent cwd is the root of the file system."""


class Catalogue:
    """Tools by name, and the entries that every prompt gets."""

    def __init__(self, foragers: Iterable[Client]) -> None:
        """Take the connected foragers in order; the first to offer a name owns it."""
        self.owners: dict[str, Client] = {}
        self.shadowed: list[tuple[str, str]] = []
        """Tools left out because the name was taken: (tool, name of the bee)."""
        tools: list[Body] = []
        provided: set[str] = set()
        for forager in foragers:
            provided.update(forager.provides)
            for tool in forager.tools:
                if tool["name"] in self.owners:
                    self.shadowed.append((tool["name"], str(forager.name)))
                else:
                    self.owners[tool["name"]] = forager
                    tools.append(tool)
        self._reserved = sorted({name for tag in provided for name in RESERVED.get(tag, ())})
        self._entries: dict[str, object] = {}
        if tools:
            self._entries["foragerTools"] = tools
        if provided:
            self._entries["provided"] = sorted(provided)
        if self._reserved:
            self._entries["disallowedTools"] = self._reserved
        self._packed = {
            key: frames.pack_body({key: value})[1:] for key, value in self._entries.items()
        }

    def enrich(self, raw: bytes, body: Body) -> bytes:
        """The prompt's body as the worker gets it; what the asker wrote keeps its bytes.

        Only an asker's own `disallowedTools` is rewritten, as the union with ours.
        """
        added = [packed for key, packed in self._packed.items() if key not in body]
        if "cwd" not in body:
            added.append(frames.pack_body({"cwd": DEFAULT_CWD})[1:])
        text = body.get("text")
        if "content" not in body and isinstance(text, str) and text:
            added.append(frames.pack_body({"content": text})[1:])
        theirs = body.get("disallowedTools")
        if self._reserved and isinstance(theirs, list):
            union = sorted({*self._reserved, *(name for name in theirs if isinstance(name, str))})
            raw = frames.pack_body({**body, "disallowedTools": union})
        return frames.extend_body(raw, b"".join(added), len(added))
