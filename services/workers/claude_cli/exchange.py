"""One turn with a program: a line in, lines out until its result, and an end in any case.

A program may hang in every way there is: it never begins, stops in the middle, works on without a
word, forgets its result, does not hear. Whoever waits has a bound, and what hangs is ended with
its cell. A cell is kept only when the turn's result has come: then it waits for the next prompt.
"""

import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import anyio

from nest.cells.limits import Limits
from nest.cells.lines import LineTooLong
from nest.cells.lodger import Lodger
from thrum.errors import Qualifier
from workers.core.claude_events import (
    Began,
    Called,
    Ended,
    Event,
    Reading,
    Redacted,
    Returned,
    Text,
    Thought,
)
from workers.core.claude_wish import interrupt_line
from workers.turns import Turn, TurnFailed

BAD_GATEWAY = 502
GATEWAY_TIMEOUT = 504
LAST_WORDS_CHARS = 400

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a program is waited for."""

    first_seconds: float = 180.0
    """Until one that was started says anything."""
    rested_seconds: float = 30.0
    """Until one that rested does; then another is started in its place."""
    silent_seconds: float = 300.0
    """Between two lines of a turn."""
    interrupt_seconds: float = 2.0
    """Until the result of a turn that is cancelled."""


class ProgramFailed(TurnFailed):
    """The program ended, hung, or could not do it."""

    def __init__(self, message: str, *, code: int | str, has_begun: bool) -> None:
        super().__init__(message, code=code, qualifier=Qualifier.UPSTREAM_FAILED)
        self.has_begun = has_begun
        """Whether it has said anything but that it cannot; if not, another may be asked."""


class Exchange:
    """One turn with the program of a cell."""

    def __init__(self, lodger: Lodger, turn: Turn, patience: Patience, limits: Limits) -> None:
        self._lodger = lodger
        self._turn = turn
        self._patience = patience
        self._limits = limits
        self._reading = Reading()
        self._has_begun = False

    async def run(self, line: Sequence[bytes | memoryview]) -> str:
        """Ask; return the finish reason. Raises `ProgramFailed`.

        The cell is kept when the result has come, also that of a turn that is cancelled meanwhile.
        """
        try:
            ended = await self._answered(line)
        except anyio.get_cancelled_exc_class():
            await self._interrupt()
            raise
        finally:
            self._turn.usage = dict(self._reading.usage)
            self._turn.model = self._reading.model or self._turn.model
        if ended.error:
            raise ProgramFailed(
                f"claude: {ended.error}", code=ended.code or BAD_GATEWAY, has_begun=self._has_begun
            )
        return ended.reason

    async def _answered(self, line: Sequence[bytes | memoryview]) -> Ended:
        patience, is_new = self._patience, self._lodger.is_new
        seconds = patience.first_seconds if is_new else patience.rested_seconds
        if is_new:
            await self._turn.pulse("cell-spawned", pid=self._lodger.pid)
        else:
            await self._lodger.lines.drop()
        await self._say(line, seconds)
        while True:
            for event in self._reading.take(await self._next(seconds)):
                if isinstance(event, Ended):
                    self._turn.about = event.about
                    self._lodger.keep()
                    return event
                self._has_begun = True
                await self._tell(event)
            seconds = patience.silent_seconds

    async def _say(self, line: Sequence[bytes | memoryview], seconds: float) -> None:
        with anyio.move_on_after(seconds) as scope:
            try:
                for part in line:
                    await self._lodger.stdin.send(bytes(part))
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                return  # it is gone: its lines say so
        if scope.cancelled_caught:
            raise self._silent(seconds, "did not read its prompt")

    async def _next(self, seconds: float) -> bytes:
        """The next line. Raises `ProgramFailed` when none comes."""
        line = None
        with anyio.move_on_after(seconds) as scope:
            try:
                line = await self._lodger.lines.next()
            except LineTooLong as problem:
                raise ProgramFailed(
                    f"claude wrote {problem}", code=BAD_GATEWAY, has_begun=True
                ) from problem
        if scope.cancelled_caught:
            raise self._silent(seconds, "said nothing")
        if line is None:
            raise await self._died()
        return line

    async def _tell(self, event: Event) -> None:
        turn = self._turn
        match event:
            case Text(text):
                await turn.say(text)
            case Thought(text, signature):
                if text:
                    await turn.think(text)
                if signature:
                    await turn.sign(signature)
            case Redacted(data):
                await turn.redact(data)
            case Began(session, model, tools):
                turn.model = model or turn.model
                await turn.tell_session(session, model, tools)
            case Called(call_id, name, args):
                await turn.tell_own_call(call_id, name, args)
            case Returned(call_id, text):
                await turn.tell_own_result(call_id, text)

    async def _died(self) -> ProgramFailed:
        """Why there are no more lines."""
        death = await self._lodger.ended()
        words = self._lodger.last_words[-LAST_WORDS_CHARS:]
        said = f": {words}" if words else ""
        if self._lodger.limit is not None:
            most = self._limits.most(self._lodger.limit)
            reason = f"claude reached its limit of {most} ({self._lodger.limit}) and ended{said}"
            code: int | str = f"limit.{self._lodger.limit}"
        else:
            status = "" if death is None else f" with status {death.status}"
            reason = f"claude ended{status} before its answer was complete{said}"
            code = BAD_GATEWAY
        await self._turn.pulse("cell-died", pid=self._lodger.pid, reason=reason)
        return ProgramFailed(reason, code=code, has_begun=self._has_begun)

    def _silent(self, seconds: float, what: str) -> ProgramFailed:
        return ProgramFailed(
            f"claude {what} for {seconds:g} s and was ended",
            code=GATEWAY_TIMEOUT,
            has_begun=self._has_begun,
        )

    async def _interrupt(self) -> None:
        """Have a turn that is cancelled end by itself; if it does not, its cell is ended."""
        if self._lodger.is_closing:
            return
        with anyio.move_on_after(self._patience.interrupt_seconds, shield=True):
            try:
                await self._lodger.stdin.send(interrupt_line(secrets.token_hex(8)))
                while (line := await self._lodger.lines.next()) is not None:
                    if any(isinstance(event, Ended) for event in self._reading.take(line)):
                        self._lodger.keep()
                        return
            except (anyio.BrokenResourceError, anyio.ClosedResourceError, LineTooLong):
                return
