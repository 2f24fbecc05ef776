"""Askers that come back: what a client has heard, over every connection it had.

Each turn has a sid of its own. What an asker was told of it is kept with its number within the
sid (`wane`), and a number that is not higher than the last one is counted as told twice.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.abc
import orjson
from anyio.streams.buffered import BufferedByteReceiveStream
from tests.support.bees import LINE_BYTES_MAX, bee_named, identity_named
from tests.support.stack import Stack

from nest.bee import StreamBroken
from thrum.tones import Tone

OVER = ("finish", "error")
CUT = "stream.gap"
RECONNECT_SECONDS = 0.02
KEPT = 256
"""Turns of which a client of the door remembers how far it heard them."""


@dataclass
class Turn:
    """One prompt, and what its asker heard."""

    sid: str
    acknowledged: bool = False
    refused: str = ""
    """Why the prompt was not taken, as its echo said."""
    text: str = ""
    last: int = 0
    """Number of the last tone heard."""
    repeats: int = 0
    is_cut: bool = False
    """Whether its asker, who does not say what it heard, was told that some may be missing."""
    ends: list[dict[str, Any]] = field(default_factory=list)
    over: anyio.Event = field(default_factory=anyio.Event)

    def hear(self, chi: str, wane: int | None, body: dict[str, Any]) -> bool:
        """Take down one tone; whether it is new."""
        if wane is not None:
            if wane <= self.last:
                self.repeats += 1
                return False
            self.last = wane
        if chi == "chunk" and body.get("chunkType") == "text_delta":
            self.text += body["delta"]
        elif chi in OVER and not self.is_cut:
            self.is_cut = body.get("qualifier") == CUT
            if self.is_cut and self.ends:
                return False
            self.ends.append({"chi": chi, **body})
            self.over.set()
        return True


class DoorAsker:
    """A client of the door, of any language: keeps what has no echo, and offers it again."""

    def __init__(
        self, path: str, name: str, heard: Callable[[], None], *, says_heard: bool = True
    ) -> None:
        self._path = path
        self._name = name
        self._heard = heard
        self._says_heard = says_heard
        self._unsettled: dict[str, bytes] = {}
        self._stream: anyio.abc.SocketStream | None = None
        self.turns: dict[str, Turn] = {}
        self.connections = 0

    async def ask(self, sid: str, **body: Any) -> Turn:
        """One turn, from the prompt to its end."""
        turn = self.turns[sid] = Turn(sid)
        line = orjson.dumps({"chi": "prompt", "rid": sid, "sid": sid, **body}) + b"\n"
        self._unsettled[sid] = line
        await self._write(line)
        await turn.over.wait()
        return turn

    async def run(self) -> None:
        """Connect, and connect again, for ever."""
        while True:
            try:
                stream = await anyio.connect_unix(self._path)
            except OSError:
                await anyio.sleep(RECONNECT_SECONDS)
                continue
            async with stream:
                try:
                    await self._converse(stream)
                except (anyio.BrokenResourceError, anyio.EndOfStream, anyio.IncompleteRead):
                    self._stream = None

    async def _write(self, line: bytes) -> None:
        if self._stream is not None:
            try:
                await self._stream.send(line)
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                self._stream = None

    async def _converse(self, stream: anyio.abc.SocketStream) -> None:
        self.connections += 1
        hello: dict[str, Any] = {
            "chi": "hello",
            "rid": f"{self._name}-{self.connections}",
            "hid": str(identity_named(self._name, prefix="fbee").hid),
            "hive": self._name,
            "bee": ["asker"],
        }
        if self._says_heard:
            hello["heard"] = {sid: turn.last for sid, turn in [*self.turns.items()][-KEPT:]}
        await stream.send(orjson.dumps(hello) + b"\n" + b"".join(self._unsettled.values()))
        self._stream = stream
        lines = BufferedByteReceiveStream(stream)
        while True:
            self._on_tone(orjson.loads(await lines.receive_until(b"\n", LINE_BYTES_MAX)))

    def _on_tone(self, tone: dict[str, Any]) -> None:
        if tone["chi"] == "chunk":
            self._heard()
        turn = self.turns.get(tone.get("sid") or tone.get("rid") or "")
        if turn is None:
            return
        if tone["chi"] == "echo":
            self._unsettled.pop(tone["rid"], None)
            turn.acknowledged |= tone["ok"]
            turn.refused = tone.get("error", "")
        else:
            turn.hear(tone["chi"], tone.get("wane"), tone)


class BusAsker:
    """A bee that asks over the bus itself."""

    def __init__(self, stack: Stack, name: str, heard: Callable[[], None]) -> None:
        self._bee = bee_named(stack, name, "asker")
        self._heard = heard
        self.turns: dict[str, Turn] = {}

    async def run(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        await self._bee.run(task_status=task_status)

    async def ask(self, sid: str, **body: Any) -> Turn:
        """One turn, from the prompt to its end."""
        turn = self.turns[sid] = Turn(sid)
        with self._bee.stream(sid) as tones:
            await self._bee.send(Tone(chi="prompt", sid=sid, rid=sid, body=body))
            try:
                async for tone in tones:
                    if tone.chi == "chunk":
                        self._heard()
                    turn.hear(tone.chi, tone.wane, tone.body)
                    if turn.ends:
                        break
            except StreamBroken as problem:
                turn.ends.append({"chi": "error", "qualifier": "stream", "message": str(problem)})
        turn.acknowledged = True
        turn.over.set()
        return turn
