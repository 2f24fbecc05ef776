"""What a tool is: a name, a description for models, and a function from a call to a result."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from humfs.edge.watch import Watch
from humfs.errors import Refusal
from thrum.tones import Body


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One `tool-call`, checked as far as the wire goes."""

    sid: str | None
    call_id: str
    tool: str
    args: object
    """Whatever stood there; the tool says what is wrong with it."""
    cwd: str | None = None
    received_ns: int = field(default_factory=time.time_ns)
    """When it came in, in nanoseconds of wall-clock time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a call is answered with."""

    output: str
    is_error: bool = False
    title: str | None = None
    metadata: Body = field(default_factory=dict)

    def body(self, call: Call) -> Body:
        """The body of the `tool-result`."""
        return {
            "callId": call.call_id,
            "toolName": call.tool,
            "output": self.output,
            "isError": self.is_error,
            "title": self.title,
            "metadata": self.metadata,
        }


class Tool(Protocol):
    """One tool. `run` is called from worker threads, several calls at a time."""

    @property
    def name(self) -> str:
        """As models call it."""

    @property
    def description(self) -> str:
        """What teaches a model to use it."""

    @property
    def input_schema(self) -> Mapping[str, object]:
        """JSON schema of its arguments."""

    def run(self, call: Call, watch: Watch) -> Result:
        """Do it; raises `Refusal`."""


def refused(refusal: Refusal, *, title: str | None = None) -> Result:
    """The result of a refused call."""
    text = str(refusal)
    metadata: Body = {"error": refusal.code.value, "message": text}
    if refusal.hint:
        metadata["hint"] = refusal.hint
    return Result(output=text, is_error=True, title=title, metadata=metadata)
