"""Answers that were given before, for requests that are the same to the last character.

Off unless settings give it room. Only what a service answered to its end is kept; what is asked
again costs nothing, and is told as what it is. Requests of different keys never meet, and nothing
here knows a secret: keys of services are no part of a request.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

import orjson

from workers.core.completions import Completion, Delta, Usage

ENTRY_BYTES = 2_048
"""What one answer is counted for beside its characters."""
DELTAS_MAX = 4_096
"""Pieces of one answer that are kept apart; one of more is not kept."""
_KEPT_STOPS = frozenset({"end_turn", "length"})


@dataclass(frozen=True, slots=True)
class Kept:
    """One answer."""

    completion: Completion
    """Its usage is nothing."""
    deltas: tuple[Delta, ...]
    until: float
    size: int


@dataclass(slots=True)
class Heard:
    """The pieces of an answer as they come; those of one kind become one."""

    _runs: list[list[Delta]] = field(default_factory=list)

    def add(self, delta: Delta) -> None:
        """One more piece."""
        kind = _kind(delta)
        if self._runs and kind in ("text", "reasoning") and _kind(self._runs[-1][0]) == kind:
            self._runs[-1].append(delta)
        else:
            self._runs.append([delta])

    def deltas(self) -> tuple[Delta, ...]:
        """What came."""
        return tuple(_joined(run) for run in self._runs)


class AnswerCache:
    """At most `bytes_max` of answers; the one that was wanted longest ago goes first."""

    def __init__(self, bytes_max: int, seconds: float) -> None:
        self._bytes_max = bytes_max
        self._seconds = seconds
        self._kept: OrderedDict[bytes, Kept] = OrderedDict()
        self.bytes = 0

    @property
    def is_on(self) -> bool:
        """Whether it has any room."""
        return self._bytes_max > 0

    def get(self, key: bytes, now: float) -> Kept | None:
        """The answer to the same request; None when there is none, or it is too old."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        if kept.until <= now:
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return kept

    def put(self, key: bytes, completion: Completion, heard: Heard, now: float) -> None:
        """Keep an answer that came to its end; one that did not, or is too long, is not kept."""
        deltas = heard.deltas()
        size = ENTRY_BYTES + sum(_size(delta) for delta in deltas)
        size += sum(len(call.arguments.encode()) for call in completion.calls.values())
        is_whole = completion.stop in _KEPT_STOPS and len(deltas) <= DELTAS_MAX
        if not is_whole or size > self._bytes_max:
            return
        self._drop(key)
        free = replace(completion, usage=Usage())
        self._kept[key] = Kept(free, deltas, now + self._seconds, size)
        self.bytes += size
        while self.bytes > self._bytes_max:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: bytes) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self.bytes -= kept.size


def cache_key(service: int, request: Mapping[str, Any], account: object) -> bytes:
    """What makes requests the same: everything in them, the service, and whose they are."""
    owner = account.get("id") if isinstance(account, Mapping) else None
    parts = [service, owner if isinstance(owner, str) else "", request]
    return sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).digest()


def _joined(run: list[Delta]) -> Delta:
    if len(run) == 1:
        return run[0]
    return Delta("".join(one.reasoning for one in run), "".join(one.text for one in run))


def _kind(delta: Delta) -> str:
    """The only thing that a piece has; empty when it has several."""
    has = [
        name
        for name, value in (
            ("text", delta.text), ("reasoning", delta.reasoning),
            ("signature", delta.signature), ("redacted", delta.redacted),
        )
        if value
    ]  # fmt: skip
    return has[0] if len(has) == 1 else ""


def _size(delta: Delta) -> int:
    texts = (delta.text, delta.reasoning, delta.signature, *delta.redacted)
    return sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)
