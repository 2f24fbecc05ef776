"""What others ask the log for, beside pages of events: its newest root, a signature for theirs.

Questions wait in a queue with a bound and are answered between commits, one a turn.
"""

import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from thehum.core.statements import NotSigned, statement_of
from thehum.core.tiles import TilesLost
from thehum.core.witnessing import dump_keys
from thehum.edge.checkpoints import Checkpoints
from thehum.edge.keys import Keyring
from thehum.edge.log import Log
from thehum.edge.witness import Say, Witness
from thehum.errors import DiskFull, KeyNotHere
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

    def __init__(
        self,
        opened: Log,
        keyring: Keyring,
        checkpoints: Checkpoints,
        witness: Witness,
        say: Say,
    ) -> None:
        self._log, self._keyring, self._checkpoints = opened, keyring, checkpoints
        self._witness, self._say = witness, say
        self._rotating: tuple[int, Tone] | None = None
        """The link number of a change of key that is on its way into the log, and who asked."""
        self._waiting: deque[Tone] = deque()
        self._answers: dict[str, Answer] = {
            Chi.CHECKPOINT: self._on_checkpoint,
            Chi.COSIGN: lambda tone: witness.cosign(tone, at_seconds=int(time.time())),
            Chi.SIGN: self._on_sign,
            Chi.ROTATE_KEY: self._on_rotate,
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
            **dump_keys(self._log.public, self._log.keys),
        }
        if old <= newest.size:
            try:
                proof = self._checkpoints.prove_from(old)
                body |= {"old": old, "proof": [each.hex() for each in proof]}
            except TilesLost as problem:
                body["reason"] = problem.message
        else:
            body["reason"] = f"the log has {newest.size} events, not {old}"
        with suppress(TilesLost):
            if (life := self._checkpoints.prove_life()) is not None:
                line, included = life
                body["life"] = {"line": line, "inclusion": [each.hex() for each in included]}
        self._answer(tone, body)

    def _on_sign(self, tone: Tone) -> None:
        """A statement of one of the kinds there are, signed."""
        try:
            text = statement_of(tone.body, self._log.author)
        except NotSigned as problem:
            self._decline(tone, Qualifier.TONE_MALFORMED, problem.message)
            return
        signature = self._log.key.sign(text)
        keys = dump_keys(self._log.public, self._log.keys)
        said = {"statement": text.decode(), "signature": signature.hex(), **keys}
        self._answer(tone, said)

    def _on_rotate(self, tone: Tone) -> None:
        """Have the log say that the next key takes over; answered once that is on disk."""
        if self._log.read_only is not None or self._rotating is not None:
            reason = self._log.read_only or "the key is being changed already"
            self._decline(tone, Qualifier.LOG_UNAVAILABLE, reason)
            return
        try:
            body = self._keyring.prepare(self._log)
        except KeyNotHere as problem:
            self._decline(tone, Qualifier.LOG_UNAVAILABLE, f"{problem.message}; {problem.hint}")
            return
        self._rotating = self._say(Tone(chi=Chi.KEY_ROTATE, body=body)), tone

    def settled(self, upto: int) -> None:
        """Everything that was said up to this link number is in the log."""
        if self._rotating is not None and self._rotating[0] <= upto:
            (_, tone), self._rotating = self._rotating, None
            newest = self._log.keys.events[-1]
            self._answer(tone, {"seq": newest.seq, "pubkey": newest.public.hex()})

    def _answer(self, tone: Tone, body: Body) -> None:
        self._say(Tone(chi=tone.chi, rid=tone.rid, to=tone.sender, body={"answer": True, **body}))

    def _decline(self, tone: Tone, qualifier: Qualifier, message: str) -> None:
        self._answer(tone, {"qualifier": str(qualifier), "message": message})
