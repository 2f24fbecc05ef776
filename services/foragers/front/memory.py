"""Conversations that clients continue by the name of an earlier answer.

In memory only: after a restart a name is unknown, and the client is told so. The oldest are
forgotten first.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

import orjson

from nest.metrics import Registry
from thrum.tones import Body

ANSWERS_MAX = 4_096
"""Answers and conversations remembered."""
ANSWERS_BYTES_MAX = 64 * 1024 * 1024
"""Bytes of their messages, each counted where it was said first."""


class _Kept(NamedTuple):
    messages: tuple[Body, ...]
    size: int


class Memory:
    """Messages by the name of the answer, or of the conversation, that they lead up to."""

    def __init__(self, metrics: Registry) -> None:
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
        self._bytes = 0
        self._gauge = metrics.gauge("hum_front_answers", "Answers that may be continued by name.")
        self._forgotten = metrics.counter(
            "hum_front_answers_forgotten_total", "Answers forgotten to make room."
        )

    def recall(self, client: str, name: str) -> tuple[Body, ...] | None:
        """What was said up to `name`; None when nobody remembers. Each client has its own names."""
        kept = self._kept.get((client, name))
        if kept is None:
            return None
        self._kept.move_to_end((client, name))
        return kept.messages

    def keep(self, client: str, name: str, messages: Sequence[Body], said: Body) -> None:
        """Remember `messages` and what was `said` to them as `name`."""
        self._drop((client, name))
        size = len(orjson.dumps([messages[-1:], said]))
        self._kept[client, name] = _Kept((*messages, said), size)
        self._bytes += size
        while len(self._kept) > ANSWERS_MAX or self._bytes > ANSWERS_BYTES_MAX:
            self._drop(next(iter(self._kept)))
            self._forgotten.inc()
        self._gauge.set(len(self._kept))

    def _drop(self, name: tuple[str, str]) -> None:
        kept = self._kept.pop(name, None)
        if kept is not None:
            self._bytes -= kept.size
