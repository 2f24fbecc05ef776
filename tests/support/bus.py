"""A bus that only records, for what speaks through one."""

from typing import Any

import anyio

from nest.bee import Tones
from thrum.tones import Tone


class RecordingBus:
    """Takes everything, settles at once, and lets a test wait for what was sent."""

    def __init__(self) -> None:
        self.inbox = Tones(1_000)
        self.sent: list[Tone] = []
        self.has_room = True
        self._grown = anyio.Event()

    async def send(self, tone: Tone) -> int:
        return self.post(tone)

    def post(self, tone: Tone) -> int:
        self.sent.append(tone)
        self._grown.set()
        return len(self.sent)

    async def settled(self) -> None:
        return

    async def wait(self, count: int, *chis: str) -> list[Tone]:
        """The first `count` tones of these chis, once they are there."""
        while len(found := [tone for tone in self.sent if tone.chi in chis]) < count:
            self._grown = anyio.Event()
            await self._grown.wait()
        return found

    async def ends(self, count: int) -> list[Tone]:
        return await self.wait(count, "finish", "error")

    def hear(self, chi: str, sid: str | None = "s", **body: Any) -> None:
        self.inbox.put(Tone(chi=chi, rid="r", sid=sid, body=body))
