"""What a long call says on the way, as `chunk`s: gathered, bounded, and lost when nobody listens.

    {"chi": "chunk", "sid": ..., "chunkType": "tool_output", "callId": ..., "toolName": ...,
     "stream": "stdout", "delta": "text"}

The result of the call tells everything that counts; a call that is over within `GATHER_SECONDS`
says nothing on the way.
"""

from types import TracebackType
from typing import Self

import anyio

from humfs.tools.tool import Call
from nest.bee import Bee
from thrum.chi import Chi
from thrum.tones import Tone

GATHER_SECONDS = 0.25
"""Text is gathered so long before it is said."""
WAITING_CHARS_MAX = 16 * 1024
"""Of a stream, waiting to be said; what comes then is left out, and that is said."""
SAID_CHARS_MAX = 256 * 1024
"""Said about one call; then only the result tells more."""


class Chunks:
    """The chunks of one call, while the block runs."""

    def __init__(self, bee: Bee, call: Call) -> None:
        self._bee = bee
        self._call = call
        self._waiting: dict[str, str] = {}
        self._left_out: dict[str, int] = {}
        self._said = 0
        self._heard = anyio.Event()
        self._tasks = anyio.create_task_group()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._tell, name="humfs.chunks")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        self._tasks.cancel_scope.cancel()
        return await self._tasks.__aexit__(kind, problem, trace)

    def say(self, stream: str, text: str) -> None:
        """Take what came on a stream."""
        if not text or self._said >= SAID_CHARS_MAX:
            return
        known = self._waiting.get(stream, "")
        room = WAITING_CHARS_MAX - len(known)
        self._waiting[stream] = known + text[:room]
        self._left_out[stream] = self._left_out.get(stream, 0) + max(0, len(text) - room)
        self._heard.set()

    async def _tell(self) -> None:
        while self._said < SAID_CHARS_MAX:
            await self._heard.wait()
            await anyio.sleep(GATHER_SECONDS)
            self._heard = anyio.Event()
            for stream, text in self._waiting.items():
                self._post(stream, text, self._left_out[stream])
            self._waiting.clear()
            self._left_out.clear()

    def _post(self, stream: str, text: str, left_out: int) -> None:
        if left_out:
            text += f"\n[{left_out} characters left out]\n"
        self._said += len(text)
        if self._said >= SAID_CHARS_MAX:
            text += "\n[nothing more is told before the command ends]\n"
        if self._bee.has_room:
            body = {
                "chunkType": "tool_output",
                "callId": self._call.call_id,
                "toolName": self._call.tool,
                "stream": stream,
                "delta": text,
            }
            self._bee.post(Tone(chi=Chi.CHUNK, sid=self._call.sid, body=body))
