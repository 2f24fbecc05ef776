"""The tone: what travels between processes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

Body = dict[str, Any]
"""Whatever JSON can express under string keys."""


@dataclass(slots=True, kw_only=True)
class Tone:
    """One message: its chi, its envelope, its body.

    `body` holds every other key of the flat form, unknown ones included, and envelope keys whose
    value had the wrong type. `wane` counts the tones of a sid when it comes from humd. `seq`,
    `client` and
    `fan` are what humd or a door adds beside the tone (docs/wire.md, section 1); they are not part
    of it.
    """

    chi: str
    rid: str | None = None
    sid: str | None = None
    sender: str | None = None
    """`from` on the wire."""
    to: str | None = None
    dusk: int | None = None
    """Wall-clock ms after which the tone is dead."""
    wane: int | None = None
    body: Body = field(default_factory=dict)
    seq: int = 0
    client: str | None = None
    fan: int = 0

    def text(self, key: str) -> str | None:
        """The body's value under `key` when it is a string."""
        value = self.body.get(key)
        return value if isinstance(value, str) else None

    @property
    def tool_name(self) -> str | None:
        """The tool a `tool-call` names: `toolName`, else `name`."""
        return self.text("toolName") or self.text("name")


def is_past_dusk(dusk: int | None, now_ms: int) -> bool:
    """Whether a tone is dead: its dusk is a non-negative integer strictly before now."""
    return dusk is not None and 0 <= dusk < now_ms


def result_text(body: Mapping[str, Any]) -> str:
    """What a tool answered, as text: the first of `output`, `result`, `content` that is present.

    A string is taken as it is, an object with a string `content` as that string, a list of text
    parts as their concatenation; anything else as compact JSON.
    """
    value = next((body[key] for key in ("output", "result", "content") if key in body), "")
    if isinstance(value, Mapping) and "content" in value:
        value = value["content"]
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(
        isinstance(part, Mapping) and "text" in part for part in value
    ):
        return "".join(str(part["text"]) for part in value)
    return orjson.dumps(value).decode()


def is_error_result(body: Mapping[str, Any]) -> bool:
    """Whether a `tool-result` reports a failure: `isError`, or an `error` inside `result`."""
    result = body.get("result")
    return body.get("isError") is True or (
        isinstance(result, Mapping) and bool(result.get("error"))
    )
