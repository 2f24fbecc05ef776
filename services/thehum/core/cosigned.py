"""What a witness signed below a checkpoint of ours.

A witness is another humd; the name it signs under is `hum/<its hid>/witness`, so its key is known
by its name. Whoever holds such a note can tell that the log was that long and had that root when
the witness looked, whatever its owner does later.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from thehum.core.keys import KeyChain, KeyEvents
from thehum.core.notes import BadNote, Checkpoint, open_checkpoint
from thehum.core.witness import cosigned_at
from thehum.core.witnessing import dump_keys, keys_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosigned:
    """A checkpoint with our signature and a witness's. Made by `read_cosigned`, which verified."""

    checkpoint: Checkpoint
    note: str
    """With our signature and the witness's below it."""
    witness: str
    """The hid of the witness."""
    witness_keys: KeyChain
    """The keys of the witness, by its own log."""
    at_seconds: int

    @property
    def size(self) -> int:
        return self.checkpoint.size


def witness_name(hid: str) -> str:
    """The name under which the humd `hid` signs for others."""
    return f"hum/{hid}/witness"


def read_cosigned(body: Mapping[str, Any], *, public: bytes, later: KeyEvents = ()) -> Cosigned:
    """Read and verify a signature below a checkpoint of the log with these keys.

    `body` has `note` and `pubkey`, and `cosignature` when that is not in the note yet, and `keys`
    when the witness's key was replaced: then only the newest one signs. Raises `BadNote`.
    """
    try:
        note, witness_keys = body["note"] + body.get("cosignature", ""), keys_of(body)
        witness = witness_keys.author
    except (KeyError, TypeError, ValueError) as problem:
        raise BadNote(f"not a cosigned checkpoint: {problem!r}") from problem
    checkpoint = open_checkpoint(note, public=public, later=later)
    at_seconds = cosigned_at(note, name=witness_name(witness), public=witness_keys.public)
    if at_seconds is None:
        raise BadNote(f"the witness {witness} did not sign")
    if witness == checkpoint.author:
        raise BadNote("nobody witnesses for himself")
    return Cosigned(
        checkpoint=checkpoint,
        note=note,
        witness=witness,
        witness_keys=witness_keys,
        at_seconds=at_seconds,
    )


def dump_cosigned(cosigned: Cosigned) -> dict[str, object]:
    """What `read_cosigned` reads."""
    return {
        "note": cosigned.note,
        **dump_keys(cosigned.witness_keys.first, cosigned.witness_keys),
        "size": cosigned.size,
        "at_seconds": cosigned.at_seconds,
    }


def newer(held: Cosigned, other: Cosigned) -> Cosigned:
    """Of two by one witness, the one about the longer log; of equal ones the later."""
    return max(held, other, key=lambda one: (one.size, one.at_seconds))
