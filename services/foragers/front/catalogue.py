"""Which models there are, as humd tells it when asked."""

import secrets
import time
from collections.abc import Callable

import anyio

from foragers.core.bees import models_of
from foragers.core.errors import ApiError
from foragers.front.bus import Bus
from thrum.chi import LinkChi
from thrum.errors import Qualifier
from thrum.tones import Body, Tone

FRESH_SECONDS = 1.0
"""How long an answer of humd is good for."""
ANSWER_SECONDS = 2.0
"""How long humd may take."""
LOG_SECONDS = 3.0
"""How long it may take to find out how the log is."""

_QUESTION = {"ask": "bees"}


class Catalogue:
    """The models of connected workers. At most one question is on its way to humd."""

    def __init__(self, bus: Bus, *, now: Callable[[], float] = time.monotonic) -> None:
        self._bus = bus
        self._now = now
        self._models: tuple[str, ...] = ()
        self._fresh_until = 0.0
        self._asked: str | None = None
        self._answered = anyio.Event()
        self._log_asked: str | None = None
        self._log_answered = anyio.Event()
        self._log: Body = {}

    async def trouble(self) -> str:
        """Why nothing that is asked now would be answered; empty when it would."""
        if not self._bus.is_connected:
            return ": ".join(filter(None, ("humd cannot be reached", self._bus.reset_reason)))
        if not self._bus.has_room:
            return "humd does not settle what it was sent (mend: hum status; hum logs humd)"
        if self._log_asked is None:
            self._log_asked = secrets.token_hex(8)
            self._log_answered = anyio.Event()
            self._bus.post(Tone(chi=LinkChi.VITALS, rid=self._log_asked, body={"ask": "log"}))
        with anyio.move_on_after(LOG_SECONDS):
            await self._log_answered.wait()
            return _sentence(self._log)
        self._log_asked = None
        return "humd does not answer (mend: hum status; hum logs humd)"

    async def models(self) -> tuple[str, ...]:
        """All models, at most a second old. Raises `ApiError` when humd does not answer."""
        if self._now() < self._fresh_until:
            return self._models
        if self._asked is None:
            self._ask()
        with anyio.move_on_after(ANSWER_SECONDS):
            await self._answered.wait()
            return self._models
        self._asked = None
        raise unreachable()

    def take(self, tone: Tone) -> None:
        """An answer of humd; any other is dropped."""
        if tone.rid is not None and tone.rid == self._log_asked:
            self._log, self._log_asked = tone.body.get("log") or {}, None
            self._log_answered.set()
        if tone.rid is None or tone.rid != self._asked:
            return
        self._models = models_of(tone.body.get("bees"))
        self._fresh_until = self._now() + FRESH_SECONDS
        self._asked = None
        self._answered.set()

    def _ask(self) -> None:
        if not self._bus.is_connected or not self._bus.has_room:
            raise unreachable()
        self._asked = secrets.token_hex(8)
        self._answered = anyio.Event()
        self._bus.post(Tone(chi=LinkChi.VITALS, rid=self._asked, body=dict(_QUESTION)))


def _sentence(told: Body) -> str:
    if told.get("state") == "ok":
        return ""
    return f"the log is {told.get('state')}: {told.get('why')} (mend: {told.get('mend')})"


def unreachable() -> ApiError:
    """What is said while humd is away or takes nothing."""
    return ApiError(503, "humd cannot be reached; see: hum status", code=Qualifier.LOG_UNAVAILABLE)
