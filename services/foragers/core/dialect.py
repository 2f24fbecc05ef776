"""What a dialect is to the front: how a request is read, and the shape of every refusal."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from foragers.core.answers import Answer
from foragers.core.calls import ToolResult
from foragers.core.errors import ApiError
from foragers.core.hints import Hints
from thrum.tones import Body


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An HTTP request without its body."""

    path: str
    headers: Mapping[bytes, bytes]
    """By lower-case name; of several with one name, the last."""
    query: Mapping[str, str] = field(default_factory=dict)
    now_ns: Callable[[], int] = lambda: 0
    """The clock, for dialects that tell how long things took."""
    recall: Callable[[str], tuple[Body, ...] | None] = lambda name: None
    """What was said up to an earlier answer, or in a conversation, by its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request for a turn, checked."""

    model: str | None
    """None: humd chooses."""
    results: tuple[ToolResult, ...]
    """The tool results at the end of the conversation, if it ends with some."""
    prompt: Body
    """Body of the prompt that starts a new turn."""
    answer: Callable[[str, int], Answer]
    """Makes the answer, from the request's id and the time in seconds."""
    hints: Hints = field(default_factory=Hints)
    """What the request tells of the conversation that it belongs to."""
    ready: bytes = b""
    """The whole answer when no turn is needed for it."""
    keeps: tuple[Body, ...] | None = None
    """The conversation so far, when the answer is to be remembered by its id."""
    kept_as: str | None = None
    """The name of the conversation that it is remembered by as well."""


def _same(status: int) -> int:
    return status


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One wire."""

    name: str
    """For metrics and for what a bee says of itself: `openai/chat`."""
    read: Callable[[bytes, Asked], Request]
    """Reads and checks a body. Raises `ApiError`."""
    error_body: Callable[[ApiError, str], bytes]
    """A refusal as a whole body; the second argument is the request's id."""
    error_event: Callable[[ApiError, str], bytes]
    """The same as the last piece of a stream that had begun."""
    request_id: bytes = b"x-request-id"
    """The header that tells the request's id."""
    status: Callable[[int], int] = _same
    """The dialect's status for ours."""
