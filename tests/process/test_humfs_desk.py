"""One call, one result, whatever happens inside (humfs 1.3, 1.6, E150)."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import pytest
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from humfs.desk import Desk
from humfs.edge.watch import Watch
from humfs.errors import Code, Refusal
from humfs.tools.tool import Call, Result
from nest.bee import Bee
from nest.metrics import Registry
from thrum.tones import Body, Tone

pytestmark = pytest.mark.process


@dataclass
class Told:
    """A tool that does as it is told."""

    act: Callable[[], Result]
    name: str = "told"
    description: str = "A tool."
    input_schema: Body = field(default_factory=dict)
    runs: int = 0

    def run(self, call: Call, watch: Watch) -> Result:
        self.runs += 1
        return self.act()


class Wire(Bee):
    """What a desk sees of a bee: tones in, tones out."""

    def __init__(self, inbox: MemoryObjectReceiveStream[Tone]) -> None:
        self.inbox = inbox  # type: ignore[assignment]
        self.sent: list[Body] = []
        self.heard = anyio.Event()

    async def send(self, tone: Tone) -> int:
        self.sent.append(tone.body)
        self.heard.set()
        return len(self.sent)

    async def answers(self, count: int) -> list[Body]:
        """The results, once there are so many."""
        while len(self.sent) < count:
            self.heard = anyio.Event()
            await self.heard.wait()
        return self.sent


@asynccontextmanager
async def desk(tool: Told) -> AsyncIterator[tuple[Wire, MemoryObjectSendStream[Tone]]]:
    send, receive = anyio.create_memory_object_stream[Tone](100)
    wire = Wire(receive)
    async with send, receive, anyio.create_task_group() as tasks:
        tasks.start_soon(Desk(wire, [tool], Registry()).serve)
        yield wire, send
        tasks.cancel_scope.cancel()


def call(tool: str, call_id: str = "c") -> Tone:
    return Tone(
        chi="tool-call", sid="s", body={"toolName": tool, "callId": call_id, "args": {"a": 1}}
    )


def failing() -> Result:
    raise ZeroDivisionError


def refusing() -> Result:
    raise Refusal(Code.NOT_FOUND, "It is not found.", hint="Look elsewhere.")


@pytest.mark.parametrize(
    ("name", "act", "error"),
    [
        ("nobody", lambda: Result(output="done"), "unknown_tool"),
        ("told", failing, "io"),
        ("told", refusing, "not_found"),
    ],
)
async def test_what_goes_wrong_is_a_result_too(
    name: str, act: Callable[[], Result], error: str
) -> None:
    """humfs E150."""
    async with desk(Told(act)) as (wire, send):
        await send.send(call(name))
        [answer] = await wire.answers(1)

    assert answer["isError"] is True
    assert (answer["callId"], answer["toolName"]) == ("c", name)
    assert answer["metadata"]["error"] == error
    assert answer["metadata"]["message"] == answer["output"]


async def test_a_call_that_comes_again_is_answered_again_and_run_once() -> None:
    """humfs E150."""
    tool = Told(lambda: Result(output="done"))
    async with desk(tool) as (wire, send):
        for _ in range(2):
            await send.send(call("told"))
        await wire.answers(2)
        await send.send(call("told"))
        answers = await wire.answers(3)

    assert tool.runs == 1
    assert [one["output"] for one in answers] == ["done"] * 3
