"""Answers humd about snapshots of its state (docs/wire.md, section 1.5)."""

import logging
from collections.abc import Callable

from thehum.edge.log import Log
from thehum.edge.snapshots import Refused, Snapshots
from thehum.edge.witness import Say
from thehum.errors import DiskFull
from thrum.chi import LinkChi
from thrum.tones import Body, Tone

_Answer = Callable[[Body], Body]

WANT_SECONDS = 0.1
"""Between two calls for a snapshot."""

log = logging.getLogger(__name__)


class States:
    """See the module."""

    def __init__(self, opened: Log, snapshots: Snapshots, say: Say) -> None:
        self._log, self._snapshots, self._say = opened, snapshots, say
        self._wanted_at = 0.0
        self._by_op: dict[str, _Answer] = {
            "put": self._put,
            "end": self._end,
            "keep": self._keep,
            "list": self._list,
            "get": self._get,
        }

    def want(self, now: float) -> None:
        """Ask for a snapshot soon: without one too much stays."""
        if now - self._wanted_at >= WANT_SECONDS:
            self._wanted_at = now
            self._say(Tone(chi=LinkChi.STATE, body={"op": "want"}))

    def forget(self) -> None:
        """The connection is over: what was begun on it is begun anew."""
        self._snapshots.abandon()

    def take(self, tone: Tone) -> bool:
        """Whether `tone` is about a snapshot; then it was answered."""
        if tone.chi != LinkChi.STATE:
            return False
        asked = tone.body
        answer: Body = {"op": asked.get("op"), "at_seq": asked.get("at_seq")}
        try:
            answer |= self._by_op[str(asked.get("op"))](asked)
        except Refused as problem:
            answer["refused"] = str(problem)
        except DiskFull as problem:
            self._snapshots.abandon()
            answer["refused"] = problem.message
        except (KeyError, TypeError, ValueError) as problem:
            answer["refused"] = f"not a question about snapshots: {problem!r}"
        if "refused" in answer:
            log.warning("log.state_refused", extra={"reason": answer["refused"]})
        self._say(Tone(chi=LinkChi.STATE, body=answer))
        return True

    def _put(self, asked: Body) -> Body:
        data = asked["data"]
        if not isinstance(data, bytes):
            raise Refused("a piece is bytes")
        return {"bytes": self._snapshots.put(int(asked["at_seq"]), int(asked["offset"]), data)}

    def _end(self, asked: Body) -> Body:
        return {"at_hash": self._snapshots.end(int(asked["at_seq"]), str(asked["sha256"]))}

    def _keep(self, asked: Body) -> Body:
        self._snapshots.keep(int(asked["at_seq"]), int(asked["seq"]))
        return {}

    def _list(self, _: Body) -> Body:
        return {"snapshots": self._snapshots.at_seqs, "first_seq": self._log.first_seq}

    def _get(self, asked: Body) -> Body:
        data, size = self._snapshots.read(int(asked["at_seq"]), int(asked["offset"]))
        return {"offset": asked["offset"], "data": data, "bytes": size}
