"""Anchors: a signed root is made known somewhere that the log's owner cannot change afterwards.

| backend | where | receipt's `ref` |
|---|---|---|
| `null` | nowhere | |
| `file` | a line at the end of a file | offset of the line |
| `witness` | another humd that signed below the root | hid of the witness |
| `evm` | a call of a contract, sent by a program of the user's | hash of the transaction |

A receipt holds the signed note itself, so without the network it can be checked that the note is
genuine, that the log leads to it, and that what was committed is that root. Whether it is out there
is to be looked up by `ref`.

The call data of `evm` is that of `anchor(bytes32 root, bytes32 author, uint64 size)`: a selector
and three words of 32 bytes. The author is the 32 bytes of its hid.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from thehum.core.keys import KeyEvents
from thehum.core.notes import BadNote, Checkpoint, open_checkpoint
from thrum.errors import PeerError

EVM_SELECTOR = bytes.fromhex("15954b2c")
"""The first four bytes of Keccak-256 of `anchor(bytes32,bytes32,uint64)`."""
WORD_BYTES = 32
RETRY_SECONDS_MIN, RETRY_SECONDS_MAX = 5.0, 3_600.0
"""Waits between two tries, doubled from the first to the last."""


class BadReceipt(PeerError):
    """A receipt that shows nothing."""


class Backend(StrEnum):
    """Where roots are anchored."""

    NULL = "null"
    FILE = "file"
    WITNESS = "witness"
    EVM = "evm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What a backend says: this root is known there under `ref`. Made by `read_receipt`."""

    backend: Backend
    ref: str
    at_ms: int
    note: str
    checkpoint: Checkpoint
    data: bytes = b""
    """Of `evm`: the call data."""


def call_data(checkpoint: Checkpoint) -> bytes:
    """The call data that commits to a checkpoint."""
    author = bytes.fromhex(checkpoint.author.partition("_")[2])
    words = (checkpoint.root, author, checkpoint.size.to_bytes(WORD_BYTES, "big"))
    return EVM_SELECTOR + b"".join(words)


def dump_receipt(receipt: Receipt) -> dict[str, object]:
    """The JSON object of a line of `anchors.ndjson`."""
    checkpoint = receipt.checkpoint
    fields: dict[str, object] = {
        "backend": str(receipt.backend),
        "ref": receipt.ref,
        "at_ms": receipt.at_ms,
        "author": checkpoint.author,
        "size": checkpoint.size,
        "root": checkpoint.root.hex(),
        "note": receipt.note,
    }
    return {**fields, "data": "0x" + receipt.data.hex()} if receipt.data else fields


def read_receipt(fields: Mapping[str, Any], *, public: bytes, later: KeyEvents = ()) -> Receipt:
    """Read a receipt about the log with these keys and check all that can be seen in it.

    The note is genuine, the receipt is about its root, and call data commits to just that. Raises
    `BadReceipt`.
    """
    try:
        checkpoint = open_checkpoint(fields["note"], public=public, later=later)
        receipt = Receipt(
            backend=Backend(fields["backend"]),
            ref=str(fields["ref"]),
            at_ms=int(fields["at_ms"]),
            note=fields["note"],
            checkpoint=checkpoint,
            data=bytes.fromhex(fields.get("data", "").removeprefix("0x")),
        )
        said = (fields["author"], fields["size"], fields["root"])
    except BadNote as problem:
        raise BadReceipt(problem.message) from problem
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise BadReceipt(f"not a receipt: {problem!r}") from problem
    if said != (checkpoint.author, checkpoint.size, checkpoint.root.hex()):
        raise BadReceipt("the receipt is about another root than its note")
    if receipt.backend is Backend.EVM and receipt.data != call_data(checkpoint):
        raise BadReceipt("the call data commits to something else")
    return receipt


class AnchorQueue:
    """The newest root that is to be anchored, and when to try. Time is passed in, in seconds.

    One root waits at most: a newer one covers it. While one waits, `floor_seq` is the last event
    whose root is anchored, and what is behind it must not be dropped.
    """

    def __init__(self, *, every_seconds: float, anchored_size: int, now: float) -> None:
        self.floor_seq = anchored_size
        self._every = every_seconds
        self._next_at = now
        self._newest: tuple[Checkpoint, str] | None = None
        self.failures = 0
        """Tries in a row that failed."""

    @property
    def is_pending(self) -> bool:
        """Whether a root waits to be anchored."""
        return self._newest is not None

    def offer(self, checkpoint: Checkpoint, note: str) -> None:
        """There is a newer root."""
        if checkpoint.size > self.floor_seq:
            self._newest = (checkpoint, note)

    def due(self, now: float) -> tuple[Checkpoint, str] | None:
        """The root to anchor now, and its note; None when there is none, or it is too early."""
        return self._newest if now >= self._next_at else None

    def done(self, checkpoint: Checkpoint, now: float) -> None:
        """`checkpoint` is anchored."""
        self.floor_seq = max(self.floor_seq, checkpoint.size)
        self.failures, self._next_at = 0, now + self._every
        if self._newest is not None and self._newest[0].size <= self.floor_seq:
            self._newest = None

    def failed(self, now: float) -> None:
        """It did not work; try again later, and ever later."""
        wait = min(RETRY_SECONDS_MIN * 2.0 ** min(self.failures, 30), RETRY_SECONDS_MAX)
        self.failures += 1
        self._next_at = now + wait
