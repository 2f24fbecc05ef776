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
from thrum.tones import Tone

FRESH_SECONDS = 1.0
"""How long an answer of humd is good for."""
ANSWER_SECONDS = 2.0
"""How long humd may take."""

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


def unreachable() -> ApiError:
    """What is said while humd is away or takes nothing."""
    return ApiError(503, "humd cannot be reached; see: hum status", code=Qualifier.LOG_UNAVAILABLE)
