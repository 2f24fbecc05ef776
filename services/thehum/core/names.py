"""Names inside the log's folder.

A segment is named by the seq of its first event in twenty digits, so the names sort by seq and a
seq is found by bisection, whatever the clock did.
"""

import re

EXTENSION = "ndjson"
PACKED_EXTENSION = "packed"
"""Of a segment in its compressed form."""
SPARE = f"spare.{EXTENSION}"
"""The next segment, zero-filled and without a seq yet."""
QUARANTINE_DIR = "quarantine"
"""Copies of bytes that recovery took out of a segment, or found damaged. Never deleted by hum."""
TILES_DIR = "tiles"
"""Hashes of the Merkle tree, a file for each level. Made anew from the segments when lost."""
KEYS = f"keys.{EXTENSION}"
"""The events that say which key signs, as stored. Made anew from the segments when lost."""
CHECKPOINT = "checkpoint"
"""The newest signed root."""

BASE = "base.json"
"""Where the log begins, once its oldest events went."""

TROUBLE = "read-only.json"
"""Why the log is not written, while it is not."""
GAPS = "gaps.json"
"""Events that are lost, once a repair said so."""

UNFINISHED = ".tmp"
"""Behind the name of a segment that is being compressed."""

_SEGMENT = re.compile(rf"([0-9]{{20}})\.(?:{EXTENSION}|{PACKED_EXTENSION})")


def segment_name(first_seq: int) -> str:
    """The name of the segment that starts with `first_seq`."""
    return f"{first_seq:020d}.{EXTENSION}"


def packed_name(first_seq: int) -> str:
    """The name of the same segment in its compressed form."""
    return f"{first_seq:020d}.{PACKED_EXTENSION}"


def segment_seq(name: str) -> int | None:
    """The first seq of a segment by its name, in either form; None for any other file."""
    match = _SEGMENT.fullmatch(name)
    return int(match[1]) if match else None


def quarantine_name(kind: str, after_seq: int, digest: str) -> str:
    """The file that keeps what was found after `after_seq`: `kind` is `torn` or `damaged`.

    Named by content, so finding the same bytes again makes no second copy.
    """
    return f"{kind}-{after_seq:020d}-{digest[:16]}.bin"


BODIES_DIR = "bodies"
"""Bodies that are beside the log."""
_BODIES = re.compile(r"([0-9]{20})\.bodies")
_FORGET = re.compile(r"forget-([0-9]{20})\.json")


def bodies_name(first_seq: int) -> str:
    """The file of bodies that begins with event `first_seq`."""
    return f"{first_seq:020d}.bodies"


def bodies_seq(name: str) -> int | None:
    """The first seq of a file of bodies by its name; None for any other file."""
    match = _BODIES.fullmatch(name)
    return int(match[1]) if match else None


def forget_name(seq: int) -> str:
    """The note that event `seq`, which asks to forget bodies, is not done with yet."""
    return f"forget-{seq:020d}.json"


def forget_seq(name: str) -> int | None:
    """The seq of such a note by its name; None for any other file."""
    match = _FORGET.fullmatch(name)
    return int(match[1]) if match else None


WITNESSED_DIR = "witnessed"
"""Heads of other logs that we hold, and evidence against them. Read from the log when lost."""
COSIGNED_DIR = "cosigned"
"""Our own checkpoints with what others signed below them."""
_RECORD = re.compile(r"(humd_[0-9a-f]{64})(\.conflict)?\.json")


def record_name(author: str, *, is_conflict: bool = False) -> str:
    """The file that says what is held of the log of `author`, or what speaks against it."""
    return f"{author}.conflict.json" if is_conflict else f"{author}.json"


def is_record(name: str) -> bool:
    """Whether this is the name of such a file."""
    return _RECORD.fullmatch(name) is not None


ANCHORS = "anchors.ndjson"
"""Receipts for signed roots that were made known elsewhere."""

SNAPSHOTS_DIR = "snapshots"
"""What the router knew after one event, so that it need not replay what was before."""
ROOT = "root.txt"
"""The root of the newest snapshot, for people."""
_SNAPSHOT = re.compile(r"([0-9]{20})\.ndjson")


def snapshot_name(at_seq: int) -> str:
    """The snapshot that covers the events up to `at_seq`."""
    return f"{at_seq:020d}.{EXTENSION}"


def snapshot_seq(name: str) -> int | None:
    """The last event that a snapshot covers, by its name; None for any other file."""
    match = _SNAPSHOT.fullmatch(name)
    return int(match[1]) if match else None


CURSORS = "cursors.json"
"""How far those who follow the log have come."""
