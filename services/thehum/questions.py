"""What others ask the log for, beside pages of events: its newest root, a signature for theirs.

Questions wait in a queue with a bound and are answered between commits, one a turn.
"""

import time
from collections import deque
from collections.abc import Callable

from thehum.core.tiles import TilesLost
from thehum.edge.checkpoints import Checkpoints
from thehum.edge.log import Log
from thehum.edge.witness import Say, Witness
from thehum.errors import DiskFull
from thrum.chi import Chi
from thrum.errors import Qualifier
from thrum.tones import Body, Tone

Answer = Callable[[Tone], None]
QUESTIONS_MAX = 1_024
"""Questions that wait; then they are refused."""
CATCH_UP_SLICES = 16
"""Slices of events that the tree takes in at once so that the root it answers with is new."""


class Questions:
    """See the module."""

    def __init__(self, opened: Log, checkpoints: Checkpoints, witness: Witness, say: Say) -> None:
        self._log, self._checkpoints, self._witness, self._say = opened, checkpoints, witness, say
        self._waiting: deque[Tone] = deque()
        self._answers: dict[str, Answer] = {
            Chi.CHECKPOINT: self._on_checkpoint,
            Chi.COSIGN: lambda tone: witness.cosign(tone, at_seconds=int(time.time())),
        }

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def take(self, tone: Tone) -> bool:
        """Whether `tone` is a question for us; then it is answered later, or refused now."""
        if tone.chi not in self._answers or tone.body.get("answer") is True:
            return False
        if len(self._waiting) < QUESTIONS_MAX:
            self._waiting.append(tone)
        else:
            self._decline(tone, Qualifier.QUEUE_OVERFLOW, "too many questions wait; try again")
        return True

    def forget(self) -> None:
        """Nobody waits for answers any more."""
        self._waiting.clear()

    def answer(self) -> bool:
        """Answer the oldest question; False when there is none."""
        if not self._waiting:
            return False
        tone = self._waiting.popleft()
        try:
            self._answers[tone.chi](tone)
        except DiskFull as problem:
            self._decline(tone, Qualifier.LOG_UNAVAILABLE, problem.message)
        return True

    def _on_checkpoint(self, tone: Tone) -> None:
        """The newest root, and proof that it continues an older one; or a signature below it."""
        if "cosignature" in tone.body:
            self._witness.adopt(tone)
            return
        for _ in range(CATCH_UP_SLICES):
            if not self._checkpoints.advance():
                break
        self._checkpoints.sign()
        newest, old = self._checkpoints.newest, tone.body.get("old", 0)
        if newest is None:
            self._decline(tone, Qualifier.LOG_UNAVAILABLE, "there is no signed root yet")
            return
        if type(old) is not int or old < 0:
            self._decline(tone, Qualifier.TONE_MALFORMED, "old is no size of a log")
            return
        body: Body = {
            "note": self._checkpoints.note,
            "size": newest.size,
            "pubkey": self._log.public.hex(),
        }
        if old <= newest.size:
            try:
                proof = self._checkpoints.prove_from(old)
                body |= {"old": old, "proof": [each.hex() for each in proof]}
            except TilesLost as problem:
                body["reason"] = problem.message
        else:
            body["reason"] = f"the log has {newest.size} events, not {old}"
        self._answer(tone, body)

    def _answer(self, tone: Tone, body: Body) -> None:
        self._say(Tone(chi=tone.chi, rid=tone.rid, to=tone.sender, body={"answer": True, **body}))

    def _decline(self, tone: Tone, qualifier: Qualifier, message: str) -> None:
        self._answer(tone, {"qualifier": str(qualifier), "message": message})
