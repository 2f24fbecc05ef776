"""What the sidecar asks of the bus."""

import secrets
import time
from collections.abc import Sequence

import anyio

from nest.bee import Bee
from thrum.chi import Chi, LinkChi
from thrum.errors import LocalError
from thrum.tones import Body, Tone

VITALS_SECONDS = 0.5
"""How long processes may take to say how they are; later ones are missing from this answer."""
QUESTIONS_MAX = 256
"""Questions that wait for answers at once."""
LOG_SECONDS = 3.0
"""How long humd may take to find out how the log is."""
READY_SECONDS = 1.0
"""How long an append may take before we are not ready."""


class NotReady(LocalError):
    """The bus or the log does not answer in time."""


class Bus:
    """Questions by rid, and their answers."""

    def __init__(self, bee: Bee) -> None:
        self._bee = bee
        self._waiting: dict[str, tuple[list[Tone], anyio.Event, int]] = {}

    async def listen(self) -> None:
        """Hand every answer to who asked; runs for ever."""
        async for tone in self._bee.inbox:
            question = self._waiting.get(tone.rid or "")
            if question is not None:
                answers, enough, wanted = question
                answers.append(tone)
                if len(answers) >= wanted:
                    enough.set()

    async def bees(self) -> list[Body]:
        """Manifests of every bee that humd knows, with `connected`. Raises `NotReady`."""
        bees = (await self._of_humd({"ask": "bees"})).get("bees")
        return bees if isinstance(bees, list) else []

    async def costs(self, day_ms: int | None) -> Body:
        """What was used on a day, and every budget. Raises `NotReady`."""
        return await self._of_humd({"ask": "costs", "day_ms": day_ms})

    async def asks(self) -> list[Body]:
        """Permission-asks that wait, and the latest that are over. Raises `NotReady`."""
        asks = (await self._of_humd({"ask": "asks"})).get("asks")
        return asks if isinstance(asks, list) else []

    async def require_log(self) -> None:
        """Return when the log takes what it is offered, as far as humd knows; else `NotReady`."""
        told = (await self._of_humd({"ask": "log"}, within_seconds=LOG_SECONDS))["log"]
        if told["state"] != "ok":
            raise NotReady(f"the log is {told['state']}: {told['why']}", hint=told["mend"])

    async def vitals(self) -> list[Body]:
        """The snapshot of every process on the bus that answers in time; raises `NotReady`."""
        connected = sum(1 for bee in await self.bees() if bee.get("connected"))
        others = connected + 1  # thehum is no bee in the registry; we are one, and ask nobody
        answers = await self._ask(Tone(chi=LinkChi.VITALS), wanted=others + 1)
        return [answer.body for answer in answers]

    async def page(self, from_seq: int, limit: int) -> Body:
        """One page of the log, as `backfill` answers it. Raises `NotReady`."""
        question = Tone(chi=Chi.BACKFILL, body={"from_seq": from_seq, "limit": limit})
        answers = await self._ask(question, wanted=1)
        if not answers or answers[0].chi != Chi.BACKFILL:
            raise NotReady("the log does not answer", hint="hum logs thehum")
        return answers[0].body

    async def append(self) -> float:
        """Put one event into the log and return the seconds that took; raises `NotReady`."""
        await self.require_log()
        started = time.monotonic()
        with anyio.move_on_after(READY_SECONDS) as scope:
            await self._bee.joined()
            await self._bee.send(Tone(chi=Chi.PERF_MARK, body={"mark": "readyz"}))
            await self._bee.settled()
        if scope.cancelled_caught:
            await self.require_log()
            raise NotReady("an event did not reach the disk in time", hint="hum logs thehum")
        return time.monotonic() - started

    async def _of_humd(self, body: Body, *, within_seconds: float = VITALS_SECONDS) -> Body:
        """What humd answers. Raises `NotReady`, with what humd says of why it does not."""
        refused, answers = self._bee.reset_reason, list[Tone]()
        if self._bee.is_connected:
            question = Tone(chi=LinkChi.VITALS, body=body)
            answers += await self._ask(question, wanted=1, within_seconds=within_seconds)
            refused = str(answers[0].body.get("refused") or "") if answers else ""
        if refused or not answers:
            raise NotReady(refused or "humd does not answer", hint="hum status; hum logs humd")
        return answers[0].body

    async def _ask(
        self, question: Tone, *, wanted: int, within_seconds: float = VITALS_SECONDS
    ) -> Sequence[Tone]:
        if len(self._waiting) >= QUESTIONS_MAX:
            raise NotReady(f"{QUESTIONS_MAX} questions wait already", hint="try again")
        rid = question.rid = secrets.token_hex(8)
        answers: list[Tone] = []
        enough = anyio.Event()
        self._waiting[rid] = answers, enough, wanted
        try:
            await self._bee.send(question)
            with anyio.move_on_after(within_seconds):
                await enough.wait()
        finally:
            del self._waiting[rid]
        return answers
