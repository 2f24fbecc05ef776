"""Where a log begins whose oldest events went: the base, in `base.json`.

| key | what |
|---|---|
| `seq` | the last event that went |
| `hash` | its hash: the `prev_hash` of the first event that is kept |
| `inclusion` | the proof that it is the last one of the tree of that size, from the leaf up |
| `checkpoint` | the signed note of that tree |

It is on disk before the first of those events goes. Nobody but the log's own key can make one, and
whoever takes away more of the log leaves a gap behind it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from thehum.core.events import Head
from thehum.core.keys import KeyEvents
from thehum.core.notes import BadNote, open_checkpoint
from thrum.canonical import dumps
from thrum.merkle import leaf_hash, verify_inclusion


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """See the module."""

    seq: int
    hash: str
    inclusion: Sequence[bytes]
    note: str

    @property
    def head(self) -> Head:
        """Where the chain stands before the first event that is kept."""
        return Head(self.seq, self.hash, 0)


def dump_base(base: Base) -> bytes:
    """What is in the file."""
    return dumps(
        {
            "checkpoint": base.note,
            "hash": base.hash,
            "inclusion": [each.hex() for each in base.inclusion],
            "seq": base.seq,
        }
    )


def read_base(data: bytes, *, public: bytes, later: KeyEvents = ()) -> Base:
    """The base in a file of the log with these keys; raises `BadNote` for any other text."""
    try:
        fields = orjson.loads(data)
        base = Base(
            seq=int(fields["seq"]),
            hash=bytes.fromhex(fields["hash"]).hex(),
            inclusion=tuple(map(bytes.fromhex, fields["inclusion"])),
            note=str(fields["checkpoint"]),
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as problem:
        raise BadNote(f"not a base of a log: {str(problem)[:200]}") from problem
    checkpoint = open_checkpoint(base.note, public=public, later=later)
    leaf, size = leaf_hash(bytes.fromhex(base.hash)), checkpoint.size
    if base.seq != size or not verify_inclusion(
        leaf, base.inclusion, checkpoint.root, index=size - 1, size=size
    ):
        raise BadNote("the base of the log is not what was signed")
    return base
