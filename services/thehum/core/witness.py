"""Witness another log: hold its newest head, and sign only for heads that continue it.

| a head, properly signed by its log | what to do |
|---|---|
| the first one, or one that provably continues what we hold | `Cosign` |
| one of the same size with another root | `Conflict`: the two notes are the evidence |
| a longer one without a good proof | `Unproven`: ask for a proof, or for the head at our size |
| a shorter one | `Unproven` too: we do not go back |
| one of the log's next life, which says so below its root (`begins_anew`) | `Cosign` too |

A bad proof alone accuses nobody, since whoever passes it on may have spoiled it. A log with two
histories can only go on being silent, or sign a second root for our size; then it is caught.

`Cosign` is a decision, not a signature. The caller first makes `held` durable, then signs; and it
decides about one head of a log after the other, never about two at once. Otherwise two heads that
race would both be signed, or a crash would forget what was.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from thehum.core.bodies import VIA
from thehum.core.events import MalformedEvent, read_event, split_line
from thehum.core.keys import KeyChain, KeyEvents
from thehum.core.notes import (
    BadNote,
    Checkpoint,
    key_id,
    open_checkpoint,
    read_checkpoint,
    signature_line,
    split_note,
)
from thrum.chi import Chi
from thrum.keys import SIGNATURE_BYTES, SigningKey, verify
from thrum.merkle import leaf_hash, verify_consistency, verify_inclusion

_COSIGNATURE = b"\x04"
_TIME_BYTES = 8


@dataclass(frozen=True, slots=True)
class Head:
    """A signed head of another log. Made by `read_head`, which verified it."""

    checkpoint: Checkpoint
    note: str
    keys: KeyChain
    """The keys of that log, as far as they are known."""


@dataclass(frozen=True, slots=True)
class Cosign:
    """Make `held` durable as the log's newest head, then sign for it."""

    held: Head


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two heads of one size that the log signed: the evidence. Keep it, spread it, stop there."""

    first: Head
    second: Head


@dataclass(frozen=True, slots=True)
class Unproven:
    """Nothing was shown. What we hold, of `size` events, stays."""

    size: int
    reason: str


def read_head(note: str, *, public: bytes, later: KeyEvents = ()) -> Head:
    """A head from a note that the log with these keys signed; raises `BadNote`."""
    checkpoint = open_checkpoint(note, public=public, later=later)
    return Head(checkpoint, note, KeyChain(public, later))


def with_known_keys(held: Head, new: Head) -> Head:
    """`new`, judged by all that is known of the keys of the log of which we hold `held`.

    Raises `BadNote` when the key that signed `new` was replaced before, or when the two name
    different keys for one log.
    """
    if new.keys.continues(held.keys):
        return new
    if not held.keys.continues(new.keys):
        raise BadNote("that log names other keys than it did before")
    return read_head(new.note, public=held.keys.first, later=held.keys.events)


def decide(held: Head | None, new: Head, proof: Sequence[bytes]) -> Cosign | Conflict | Unproven:
    """Whether to sign for `new`, of a log of which we hold `held`; `proof` is one of consistency.

    Raises `BadNote` for the head of another log, or of another life of this one.
    """
    if held is None:
        return Cosign(new)
    ours, theirs = held.checkpoint, new.checkpoint
    if ours.origin != theirs.origin:
        raise BadNote(f"a head of {theirs.origin}, where {ours.origin} was expected")
    if theirs.size == ours.size:
        return Cosign(held) if theirs.root == ours.root else Conflict(held, new)
    if theirs.size < ours.size:
        return Unproven(ours.size, f"the head is older: {theirs.size} events")
    is_proven = verify_consistency(ours.root, theirs.root, proof, old=ours.size, size=theirs.size)
    return Cosign(new) if is_proven else Unproven(ours.size, "no proof that it goes on from ours")


@dataclass(frozen=True, slots=True)
class Life:
    """The event with which a log began another life, and what leads from it to a root."""

    line: bytes
    """As it is stored, without the newline."""
    inclusion: Sequence[bytes]


def begins_anew(held: Head, new: Head, life: Life) -> bool:
    """Whether `new` is of the life of the log that follows that of `held`, and the log says so.

    One step at a time: the event stands below the new root, and names that life.
    """
    checkpoint = new.checkpoint
    if checkpoint.author != held.checkpoint.author:
        return False
    if checkpoint.epoch != held.checkpoint.epoch + 1:
        return False
    try:
        event = read_event(life.line)
        leaf = leaf_hash(hashlib.sha256(split_line(life.line)[0]).digest())
        body = orjson.loads(event.body)
        epoch, client = body["epoch"], body[VIA]["client"]
    except (MalformedEvent, KeyError, TypeError):
        return False
    says_so = (event.author, event.chi) == (checkpoint.author, Chi.LOG_RESTORED)
    index, size = event.seq - 1, checkpoint.size
    return (
        says_so
        and (epoch, client) == (checkpoint.epoch, None)
        and verify_inclusion(leaf, life.inclusion, checkpoint.root, index=index, size=size)
    )


def cosignature(held: Head, key: SigningKey, *, name: str, at_seconds: int) -> str:
    """The line to put below the note: C2SP `cosignature/v1`, by the witness `name`."""
    sig = key.sign(_statement(held.checkpoint, at_seconds))
    payload = at_seconds.to_bytes(_TIME_BYTES, "big") + sig
    return signature_line(name, key_id(name, key.public, _COSIGNATURE), payload)


def cosigned_at(note: str, *, name: str, public: bytes) -> int | None:
    """When the witness `name` signed for the checkpoint in `note`, in seconds; None: it did not.

    Raises `BadNote` when the note is none, or a signature of that witness is wrong. Whether the log
    signed it is for `read_head`.
    """
    text, signatures = split_note(note)
    checkpoint, wanted = read_checkpoint(text), key_id(name, public, _COSIGNATURE)
    for signer, payload in signatures:
        if (signer, payload[:4]) != (name, wanted):
            continue
        at, sig = int.from_bytes(payload[4:12], "big"), payload[12:]
        if len(sig) != SIGNATURE_BYTES or not verify(public, _statement(checkpoint, at), sig):
            raise BadNote(f"the cosignature of {name[:120]} does not verify")
        return at
    return None


def _statement(checkpoint: Checkpoint, at_seconds: int) -> bytes:
    return f"cosignature/v1\ntime {at_seconds}\n{checkpoint.text}".encode()
