"""The heads of other logs that this humd holds, and what it answers to who asks it to sign for one.

A head is signed for once the event that says so is durable. Until then it is *pending*, and there
is at most one pending head of a log: of two that race, one is recorded and the other is told to
come again, or, when the two contradict each other, both are the evidence. After that nothing of
that log is signed for any more; what was agreed stays.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from thehum.core.keys import BadKeyEvent, KeyChain, chain_in
from thehum.core.notes import BadNote
from thehum.core.witness import (
    Conflict,
    Head,
    Life,
    Unproven,
    begins_anew,
    decide,
    read_head,
    with_known_keys,
)

WITNESSED_MAX = 1_024
"""Logs of which a head is held; one more is refused."""
PROOF_HASHES_MAX = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A head of another log, and why to believe that it continues what we hold."""

    head: Head
    public: bytes
    proof: Sequence[bytes]
    life: Life | None = None
    """Why to believe that its owner went on from an older copy."""


@dataclass(frozen=True, slots=True)
class Record:
    """Have the log say that we hold this head; then `Witnessed.recorded`."""

    head: Head


@dataclass(frozen=True, slots=True)
class Sign:
    """We hold this head, and the log says so: sign for it."""

    head: Head


@dataclass(frozen=True, slots=True)
class Busy:
    """Another head of that log is on its way, or there are too many logs: come again."""

    reason: str


Answer = Record | Sign | Busy | Conflict | Unproven


class Witnessed:
    """See the module. Logs are told apart by their author."""

    def __init__(self, own: str) -> None:
        """`own` is the author whose log this is; nobody witnesses for himself."""
        self._own = own
        self.held: dict[str, Head] = {}
        """By author, what the log says that we hold."""
        self.conflicts: dict[str, Conflict] = {}
        """By author, two heads that cannot both be true."""
        self._pending: dict[str, Head] = {}

    def ask(self, asked: Asked) -> Answer:
        """What to do about a head; raises `BadNote` for one that is not to be considered."""
        new = asked.head
        author = new.checkpoint.author
        if author == self._own:
            raise BadNote("our own log, for which others are to sign")
        if (caught := self.conflicts.get(author)) is not None:
            return caught
        known_head = self._pending.get(author) or self.held.get(author)
        if known_head is not None:
            new = with_known_keys(known_head, new)
        if (pending := self._pending.get(author)) is not None:
            verdict = decide(pending, new, asked.proof)
            if isinstance(verdict, Conflict):
                return self.caught(author, verdict)
            return Busy("another head of that log is being recorded")
        held = self.held.get(author)
        known = self.held.keys() | self._pending.keys() | self.conflicts.keys()
        if author not in known and len(known) >= WITNESSED_MAX:
            return Busy(f"heads of {WITNESSED_MAX} logs are held already")
        if held is not None and asked.life is not None and begins_anew(held, new, asked.life):
            self._pending[author] = new
            return Record(new)
        verdict = decide(held, new, asked.proof)
        if isinstance(verdict, Conflict):
            return self.caught(author, verdict)
        if isinstance(verdict, Unproven):
            return verdict
        if verdict.held == held:
            return Sign(held)
        self._pending[author] = new
        return Record(new)

    def recorded(self, head: Head) -> Sign:
        """The log says that we hold `head`."""
        author = head.checkpoint.author
        self._pending.pop(author, None)
        self.held[author] = head
        return Sign(head)

    def caught(self, author: str, conflict: Conflict) -> Conflict:
        """Keep two heads that contradict each other; only the first pair counts."""
        self._pending.pop(author, None)
        return self.conflicts.setdefault(author, conflict)


def read_asked(body: Mapping[str, Any]) -> Asked:
    """What a `cosign` body asks; raises `BadNote`."""
    try:
        note, keys = body["note"], keys_of(body)
        hashes = body.get("proof") or []
        if len(hashes) > PROOF_HASHES_MAX:
            raise BadNote("a proof of consistency that is too long")
        proof = [bytes.fromhex(each) for each in hashes]
        life = _life_in(body.get("life"))
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise BadNote(f"not a head to sign for: {problem!r}") from problem
    if not isinstance(note, str):
        raise BadNote("not a head to sign for: the note is no text")
    head = read_head(note, public=keys.first, later=keys.events)
    return Asked(head=head, public=keys.first, proof=proof, life=life)


def _life_in(fields: Any) -> Life | None:
    if fields is None:
        return None
    hashes = fields["inclusion"]
    if len(hashes) > PROOF_HASHES_MAX:
        raise BadNote("a proof of inclusion that is too long")
    return Life(fields["line"].encode(), [bytes.fromhex(each) for each in hashes])


def keys_of(body: Mapping[str, Any]) -> KeyChain:
    """The keys of a log by `pubkey` and, once they changed, `keys`; raises `BadNote`."""
    try:
        return chain_in(body, bytes.fromhex(body["pubkey"]))
    except BadKeyEvent as problem:
        raise BadNote(problem.message) from problem


def dump_head(head: Head, public: bytes) -> dict[str, object]:
    """What the log says of a head that we hold."""
    checkpoint = head.checkpoint
    return {
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": checkpoint.root.hex(),
        "note": head.note,
        **dump_keys(public, head.keys),
    }


def dump_keys(public: bytes, keys: KeyChain) -> dict[str, object]:
    """What `keys_of` reads."""
    named: dict[str, object] = {"pubkey": public.hex()}
    return {**named, "keys": keys.lines} if keys.is_rotated else named


def dump_conflict(conflict: Conflict, public: bytes) -> dict[str, object]:
    """What the log says of two heads that contradict each other."""
    return {
        "origin": conflict.first.checkpoint.origin,
        "size": conflict.first.checkpoint.size,
        "conflict": [conflict.first.note, conflict.second.note],
        **dump_keys(public, conflict.second.keys),
    }


def read_record(body: Mapping[str, Any]) -> Head | Conflict:
    """What `dump_head` or `dump_conflict` made, verified again; raises `BadNote`."""
    try:
        keys = keys_of(body)
        first_key, later = keys.first, keys.events
        if "conflict" in body:
            first, second = (
                read_head(note, public=first_key, later=later) for note in body["conflict"]
            )
            verdict = decide(first, second, ())
            if isinstance(verdict, Conflict):
                return verdict
            raise BadNote("two heads that do not contradict each other")
        return read_head(body["note"], public=first_key, later=later)
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise BadNote(f"not a record of a head: {problem!r}") from problem
