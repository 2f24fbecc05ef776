"""What a witness signed below a checkpoint of ours.

A witness is another humd; the name it signs under is `hum/<its hid>/witness`, so its key is known
by its name. Whoever holds such a note can tell that the log was that long and had that root when
the witness looked, whatever its owner does later.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from thehum.core.notes import BadNote, Checkpoint, open_checkpoint
from thehum.core.witness import cosigned_at
from thrum.ids import hid_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosigned:
    """A checkpoint with our signature and a witness's. Made by `read_cosigned`, which verified."""

    checkpoint: Checkpoint
    note: str
    """With our signature and the witness's below it."""
    witness: str
    """The hid of the witness."""
    witness_public: bytes
    at_seconds: int

    @property
    def size(self) -> int:
        return self.checkpoint.size


def witness_name(hid: str) -> str:
    """The name under which the humd `hid` signs for others."""
    return f"hum/{hid}/witness"


def read_cosigned(body: Mapping[str, Any], *, public: bytes) -> Cosigned:
    """Read and verify a signature below a checkpoint of the log with the key `public`.

    `body` has `note` and `pubkey`, and `cosignature` when that is not in the note yet. Raises
    `BadNote`.
    """
    try:
        note, witness_public = (
            body["note"] + body.get("cosignature", ""),
            bytes.fromhex(body["pubkey"]),
        )
        witness = str(hid_of("humd", witness_public))
    except (KeyError, TypeError, ValueError) as problem:
        raise BadNote(f"not a cosigned checkpoint: {problem!r}") from problem
    checkpoint = open_checkpoint(note, public=public)
    at_seconds = cosigned_at(note, name=witness_name(witness), public=witness_public)
    if at_seconds is None:
        raise BadNote(f"the witness {witness} did not sign")
    if witness == checkpoint.author:
        raise BadNote("nobody witnesses for himself")
    return Cosigned(
        checkpoint=checkpoint,
        note=note,
        witness=witness,
        witness_public=witness_public,
        at_seconds=at_seconds,
    )


def dump_cosigned(cosigned: Cosigned) -> dict[str, object]:
    """What `read_cosigned` reads."""
    return {
        "note": cosigned.note,
        "pubkey": cosigned.witness_public.hex(),
        "size": cosigned.size,
        "at_seconds": cosigned.at_seconds,
    }


def newer(held: Cosigned, other: Cosigned) -> Cosigned:
    """Of two by one witness, the one about the longer log; of equal ones the later."""
    return max(held, other, key=lambda one: (one.size, one.at_seconds))
