"""Trails: what was said in a conversation so far, as one digest, the same in every dialect.

A trail is a chain over the messages, so that it can be gone on with by what the model answers.
Text counts without its white space, because clients join and trim it; a call by its name and
arguments, because some dialects have no ids; an image by its bytes; reasoning not at all.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import orjson

from foragers.core.hints import Hints
from thrum.tones import Body

DIGEST_BYTES = 16
HEAD_CHARS = 1_024
"""Of the instructions of a conversation that has a name, the part that keeps it apart from side
requests under the same name. Clients change the rest from turn to turn."""
SID_PREFIX = "chat-"

_SPACE = b" \t\r\n"
_STAMP = "x-anthropic-billing-header:"
"""How a line of instructions begins that is another one in each request."""


class Said:
    """The digest of one message, taken in piece by piece."""

    __slots__ = ("_text",)

    def __init__(self) -> None:
        self._text = blake2b(digest_size=DIGEST_BYTES)

    def add(self, text: str) -> None:
        """More of its text."""
        self._text.update(text.encode("utf-8", "surrogatepass").translate(None, _SPACE))

    def digest(
        self, role: str, calls: Iterable[tuple[str, str]] = (), images: Iterable[str] = ()
    ) -> bytes:
        """The digest of all of it; a call is its name and its arguments."""
        whole = blake2b(role.encode(), digest_size=DIGEST_BYTES)
        whole.update(b"\0" + self._text.digest())
        for name, arguments in calls:
            whole.update(b"\0call" + _digest(name.encode()) + _digest(_arguments(arguments)))
        for image in images:
            whole.update(b"\0image" + _digest(image.encode("utf-8", "surrogatepass")))
        return whole.digest()


@dataclass(frozen=True, slots=True)
class Trail:
    """Where a conversation stands when a request comes."""

    now: bytes
    """Over everything that the request says."""
    known: bytes | None
    """Up to the last answer of the model; None when there is none: the conversation begins."""
    sid: str | None
    """The conversation's sid when the client has a name for it."""

    def followed(self, said: bytes) -> bytes:
        """The trail once the model has answered."""
        return _link(self.now, said)


def trail_of(prompt: Body, hints: Hints, key: str) -> Trail:
    """The trail of a prompt's body. Those of different keys never meet."""
    system = prompt.get("systemPrompt") or ""
    if _STAMP in system:
        system = "\n".join(line for line in system.split("\n") if not line.startswith(_STAMP))
    apart = b"\0".join(part.encode("utf-8", "surrogatepass") for part in (key, hints.narrower))
    now = _link(_digest(apart), _digest(system.encode("utf-8", "surrogatepass")))
    known: bytes | None = None
    first = b""
    for entry in prompt.get("history") or ():
        said = _entry(entry)
        now = _link(now, said)
        if entry.get("role") == "assistant":
            known = now
        first = first or said
    if (content := prompt.get("content")) or not first or prompt.get("attachments"):
        said = _entry({"role": "user", "content": content}, prompt.get("attachments") or ())
        now = _link(now, said)
        first = first or said
    sid = None
    if hints.name:
        head = system[:HEAD_CHARS].encode("utf-8", "surrogatepass")
        parts = (apart, hints.name.encode("utf-8", "surrogatepass"), head, first)
        sid = SID_PREFIX + _digest(b"".join(map(_digest, parts))).hex()
    return Trail(now, known, sid)


def trail_after(answer_id: str, key: str) -> bytes:
    """The trail of a request that says which answer it follows."""
    return _digest(b"\0".join((b"after", key.encode(), answer_id.encode("utf-8", "surrogatepass"))))


def _entry(entry: Mapping[str, Any], attachments: Iterable[Mapping[str, Any]] = ()) -> bytes:
    said = Said()
    images: list[str] = []
    content = entry.get("content")
    if type(content) is str:
        said.add(content)
    for part in content if type(content) is list else ():
        if type(text := part.get("text")) is str:
            said.add(text)
        elif type(file := part.get(part.get("type"))) is dict:
            images.append(str(file.get("url")))
    images += (
        each.get("url") or f"data:{each['mediaType']};base64,{each.get('data')}"
        for each in attachments
    )
    calls = [
        (call["function"]["name"], call["function"].get("arguments") or "")
        for call in entry.get("tool_calls") or ()
    ]
    return said.digest(str(entry.get("role")), calls, images)


def _arguments(text: str) -> bytes:
    """Arguments in one form, whoever wrote them."""
    try:
        return orjson.dumps(orjson.loads(text or "{}"), option=orjson.OPT_SORT_KEYS)
    except (orjson.JSONDecodeError, TypeError):
        return text.encode("utf-8", "surrogatepass")


def _link(before: bytes, said: bytes) -> bytes:
    return _digest(before + said)


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=DIGEST_BYTES).digest()
