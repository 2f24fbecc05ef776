"""Tools that belong to the client: what the model asks of them, and what they answered."""

from dataclasses import dataclass

import orjson

from thrum.tones import Body

CALLS_MAX = 128
"""Tool calls in one answer."""
CALL_ID_CHARS = 24
"""Characters of the answer's id in the ids of its calls; some services take 40 all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """The model calls a tool of the client."""

    call_id: str
    """The worker's id of it."""
    shown_id: str
    """The client's id of it: ours, because a worker's may come again in another turn."""
    name: str
    arguments: str
    """A JSON object, as far as the worker kept to it."""

    @property
    def input(self) -> Body:
        """The arguments as an object; empty when they are none."""
        try:
            found = orjson.loads(self.arguments)
        except orjson.JSONDecodeError:
            return {}
        return found if type(found) is dict else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """What the client's tool answered."""

    call_id: str
    """The id that the client was told."""
    text: str
    is_error: bool = False
    is_plain: bool = True
    """Whether `text` is all of it. A picture cannot be told to a turn that runs."""
