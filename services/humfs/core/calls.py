"""Which calls run, which were answered, and what a replay or a cancel means.

A call is known by its session and `callId`. It runs once: a replay of a running call is answered
when that call is, a replay of an answered one with the stored result.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Generic, TypeVar

REMEMBERED_MAX = 256
"""Answered calls whose results are kept for replays; the oldest is forgotten first."""
RUNNING_MAX = 256
"""Calls that run or wait for a thread; one more is refused."""

Result = TypeVar("Result")

Key = tuple[str | None, str]
"""Session and `callId`."""


class Verdict(Enum):
    """What to do with a call that arrived."""

    RUN = auto()
    WAIT = auto()
    """It runs already: answered, once more, when it is done."""
    REPLAY = auto()
    """It was answered: send `stored` again."""
    FULL = auto()
    """Too many run: refuse it."""


@dataclass(slots=True)
class Calls(Generic[Result]):
    """The table of calls of one process."""

    remembered_max: int = REMEMBERED_MAX
    running_max: int = RUNNING_MAX
    _running: dict[Key, int] = field(default_factory=dict)
    """Answers owed to each running call."""
    _answered: OrderedDict[Key, Result] = field(default_factory=OrderedDict)

    def arrived(self, key: Key) -> Verdict:
        """Take a call in; `RUN` obliges the caller to `finished`."""
        if key in self._answered:
            return Verdict.REPLAY
        if key in self._running:
            self._running[key] += 1
            return Verdict.WAIT
        if len(self._running) >= self.running_max:
            return Verdict.FULL
        self._running[key] = 1
        return Verdict.RUN

    def stored(self, key: Key) -> Result:
        """The result of an answered call."""
        return self._answered[key]

    def finished(self, key: Key, result: Result) -> int:
        """Keep a result; how many times it is to be sent."""
        self._answered[key] = result
        while len(self._answered) > self.remembered_max:
            self._answered.popitem(last=False)
        return self._running.pop(key)

    def meant(self, sid: str | None, call_id: str | None) -> list[Key]:
        """The running calls a cancel means: that `callId`, else every call of the session."""
        if call_id is not None:
            return [key for key in self._running if key[1] == call_id and sid in (None, key[0])]
        return [key for key in self._running if sid is not None and key[0] == sid]

    @property
    def running(self) -> list[Key]:
        """The calls that have no result yet."""
        return list(self._running)
