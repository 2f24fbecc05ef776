"""What a tool is: a name, a description for models, and a function from a call to a result."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from humfs.core import views
from humfs.edge.watch import Watch
from humfs.errors import Refusal
from thrum.tones import Body

IGNORED_SHOWN_MAX = 8
"""Arguments that a tool does not have, named in its output; more are in the metadata."""


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
        """The body of the `tool-result`; a model sees the output alone, so that says it all."""
        output, ignored = self.output, self.metadata.get("ignoredArgs")
        if isinstance(ignored, list):
            names = views.clean_name(", ".join(ignored[:IGNORED_SHOWN_MAX]))
            output = f"{output}\n[ignored, {call.tool} has no such argument: {names}]"
        return {
            "callId": call.call_id,
            "toolName": call.tool,
            "output": output,
            "isError": self.is_error,
            "title": self.title,
            "metadata": self.metadata,
        }


Say = Callable[[str, str], None]
"""Takes the name of a stream and text that came on it. It may be lost; the result is not."""


class Described(Protocol):
    """What every tool tells about itself."""

    @property
    def name(self) -> str:
        """As models call it."""

    @property
    def description(self) -> str:
        """What teaches a model to use it."""

    @property
    def input_schema(self) -> Mapping[str, object]:
        """JSON schema of its arguments."""


class Tool(Described, Protocol):
    """A tool that works with files. `run` is called from threads, several calls at a time."""

    def run(self, call: Call, watch: Watch) -> Result:
        """Do it; raises `Refusal`."""


class LongTool(Described, Protocol):
    """A tool that waits for other programs; no thread is held meanwhile."""

    async def follow(self, call: Call, say: Say) -> Result:
        """Do it, and `say` what is heard on the way; raises `Refusal`. It may be cancelled."""


def refused(refusal: Refusal, *, title: str | None = None) -> Result:
    """The result of a refused call."""
    text = views.clean(str(refusal))
    metadata: Body = {"error": refusal.code.value, "message": text}
    if refusal.hint:
        metadata["hint"] = views.clean(refusal.hint)
    return Result(output=text, is_error=True, title=title, metadata=metadata)
