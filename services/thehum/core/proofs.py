"""A proof that an event is in a log: one JSON object that needs nothing else to be checked.

| key | what |
|---|---|
| `kind` | `hum.proof/1` |
| `author`, `pubkey` | whose log; 64 hex of its first key, whose SHA-256 is in the hid |
| `seq`, `line` | the event, as it is stored, without the newline |
| `inclusion` | 64 hex each, from the leaf up |
| `checkpoint` | the signed note with size and root |
| `keys` | the events that changed the key, as stored, when one did (`core.keys`) |
| `how` | what to do with it, for people |

That the author is who he should be, no file can prove: that is for the reader to compare.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from thehum.core.events import Event, MalformedEvent, read_event, split_line
from thehum.core.keys import BadKeyEvent, KeyChain, KeyEvents, chain_in
from thehum.core.notes import BadNote, Checkpoint, open_checkpoint
from thrum.errors import PeerError
from thrum.merkle import HASH_BYTES, leaf_hash, verify_inclusion

KIND = "hum.proof/1"
PROOF_BYTES_MAX = 64 * 1024 * 1024
"""A longer file is no proof; the longest event fits."""
INCLUSION_MAX = 64
HOW = (
    "The author is humd_ and the SHA-256 of pubkey. The last line of the checkpoint is an Ed25519 "
    "signature by pubkey, or by the newest of keys, over the text before the empty line. Cut "
    ',"sig":... out of the line; its '
    "SHA-256 is the event hash. Leaf seq-1 is SHA-256(00 || event hash), a node SHA-256(01 || left "
    "|| right); inclusion leads from the leaf to the root of the checkpoint (RFC 9162, 2.1.3.2). "
    "To check it all: hum thehum check-proof FILE, or docs/verify.py, which needs no hum."
)


class NotProven(PeerError):
    """A file that is no proof, or proves nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What a proof file holds."""

    author: str
    public: bytes
    """The log's first key."""
    line: bytes
    """The event as it is stored, without the newline."""
    inclusion: Sequence[bytes]
    note: str
    """The signed checkpoint."""
    later: KeyEvents = ()
    """The events that say which keys came after the first one."""


@dataclass(frozen=True, slots=True)
class Proven:
    """`event` is in the log of `checkpoint`."""

    event: Event
    checkpoint: Checkpoint


def event_hash(line: bytes) -> bytes:
    """The hash of the event on a stored line (without newline); raises `MalformedEvent`."""
    return hashlib.sha256(split_line(line)[0]).digest()


def event_leaf(line: bytes) -> bytes:
    """The leaf hash of the event on a stored line; raises `MalformedEvent`."""
    return leaf_hash(event_hash(line))


def dump_proof(proof: Proof, seq: int) -> dict[str, object]:
    """The JSON object of a proof about event `seq`."""
    keys = KeyChain(proof.public, proof.later)
    more: dict[str, object] = {"keys": keys.lines} if keys.is_rotated else {}
    return {
        "kind": KIND,
        "author": proof.author,
        "pubkey": proof.public.hex(),
        "seq": seq,
        "line": proof.line.decode(),
        "inclusion": [each.hex() for each in proof.inclusion],
        "checkpoint": proof.note,
        **more,
        "how": HOW,
    }


def read_proof(data: bytes) -> Proof:
    """Read a proof file; raises `NotProven` when it is none."""
    try:
        fields = orjson.loads(data)
        if fields["kind"] != KIND:
            raise NotProven(f"not a proof that we know: {str(fields['kind'])[:80]}")
        keys = chain_in(fields, bytes.fromhex(_text(fields["pubkey"])))
        proof = Proof(
            author=_text(fields["author"]),
            public=keys.first,
            later=keys.events,
            line=_text(fields["line"]).encode(),
            inclusion=[bytes.fromhex(_text(each)) for each in fields["inclusion"][:INCLUSION_MAX]],
            note=_text(fields["checkpoint"]),
        )
        if len(proof.public) != HASH_BYTES or len(fields["inclusion"]) > INCLUSION_MAX:
            raise NotProven("not a proof: its key is not one, or it is too long")
        if read_event(proof.line).seq != fields["seq"]:
            raise NotProven("the event is not the one that the proof is about")
        return proof
    except (KeyError, TypeError, ValueError, MalformedEvent, BadKeyEvent) as problem:
        raise NotProven(f"not a proof: {str(problem)[:200]}") from problem


def check(proof: Proof) -> Proven:
    """Check everything that a proof says; raises `NotProven`."""
    try:
        checkpoint = open_checkpoint(proof.note, public=proof.public, later=proof.later)
        event = read_event(proof.line)
        leaf = event_leaf(proof.line)
    except (BadNote, MalformedEvent) as problem:
        raise NotProven(problem.message) from problem
    if not proof.author == checkpoint.author == event.author:
        raise NotProven("event, checkpoint and key are not of one author")
    index, size = event.seq - 1, checkpoint.size
    if not verify_inclusion(leaf, proof.inclusion, checkpoint.root, index=index, size=size):
        raise NotProven(f"event {event.seq} is not in the log that the checkpoint is about")
    return Proven(event, checkpoint)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("a text is none")
    return value
