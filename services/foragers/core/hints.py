"""What a request says of the conversation that it belongs to.

A *name* is the client's own identifier of one conversation. Values that often stand for more than
one conversation (a person, a cache) are never a name: they only keep apart what differs in them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

HINT_CHARS_MAX = 512
"""Characters of one hint; a longer one is as if it were not there."""

_HEADERS = (
    b"x-hum-session",
    b"x-claude-code-session-id",
    b"session-id",
    b"session_id",
    b"thread-id",
    b"x-session-id",
    b"x-session-affinity",
)
"""Headers in which clients name the conversation. All that are there count."""
_NARROWING = ("prompt_cache_key", "user", "safety_identifier")


@dataclass(frozen=True, slots=True)
class Hints:
    """See the module."""

    name: str = ""
    """The client's own name of the conversation; empty when it has none."""
    narrower: str = ""
    """Conversations that differ in this are different."""
    after: str = ""
    """The earlier answer that the request says it follows."""


def hints_of(asked: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> Hints:
    """What a request's body and headers tell. What is malformed tells nothing."""
    names = [_text(headers.get(header, b"").decode("latin-1")) for header in _HEADERS]
    names += [_conversation(asked), _session(asked.get("metadata"))]
    name = "\n".join(names) if any(names) else ""
    narrowers = [_text(asked.get(key)) for key in _NARROWING]
    narrower = "\n".join(narrowers) if any(narrowers) else ""
    return Hints(name, narrower, _text(asked.get("previous_response_id")))


def _conversation(asked: Mapping[str, Any]) -> str:
    conversation = asked.get("conversation")
    return _text(conversation.get("id") if type(conversation) is dict else conversation)


def _session(metadata: object) -> str:
    """A session in `metadata`: by its name, or inside the JSON that stands for a user."""
    if type(metadata) is not dict:
        return ""
    if session := _text(metadata.get("session_id")):
        return session
    user = metadata.get("user_id")
    if type(user) is not str or not user.startswith("{") or len(user) > HINT_CHARS_MAX:
        return ""
    try:
        found = orjson.loads(user)
    except orjson.JSONDecodeError:
        return ""
    return _text(found.get("session_id")) if type(found) is dict else ""


def _text(value: object) -> str:
    return value if type(value) is str and len(value) <= HINT_CHARS_MAX else ""
