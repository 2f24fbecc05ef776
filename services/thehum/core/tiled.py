"""Compare the stored hashes of the tree with the events, and with each other.

Proofs do not need this: what tiles lead to is compared with a signed root. But a hash of an event
that is not here any more is nowhere else, so who wants to keep it wants to know when it rots.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count

from thehum.core.tiles import TILE_HASHES, TILE_LEVELS
from thrum.merkle import HASH_BYTES, leaf_hash, perfect_root

HOLE = bytes(HASH_BYTES)
"""What stands for the hash of an event whose hash was given up too."""
_PREV_HASH = b',"prev_hash":"'


@dataclass(frozen=True, slots=True)
class BadTile:
    """The first stored hash that is not what it should be."""

    seq: int
    """The event that it is about, or the first one below it."""
    level: int
    reason: str

    def __str__(self) -> str:
        return f"tiles/{self.level}, event {self.seq}: {self.reason}"


def audit_tiles(
    lines: Iterable[tuple[int, bytes]],
    last_hash: str,
    read: Callable[[int], bytes],
    *,
    upto_seq: int,
    begins_behind: int,
) -> BadTile | None:
    """The first wrong hash in the tiles of a log that ends at `upto_seq`; None: all are right.

    `lines` are its verified events with their seqs, ascending, `last_hash` is that of the last one.
    `read` returns what is stored of a level. Events up to `begins_behind` went, and with them maybe
    their hashes.
    """
    leaves = read(0)
    if len(leaves) % (TILE_HASHES * HASH_BYTES):
        return BadTile(len(leaves) // HASH_BYTES + 1, 0, "half a tile")
    stored = len(leaves) // HASH_BYTES
    if stored > upto_seq:
        return BadTile(upto_seq + 1, 0, "a hash of an event that never was")
    for seq, line in lines:
        if seq > min(upto_seq, stored + 1):
            break
        at = line.rindex(_PREV_HASH) + len(_PREV_HASH)
        before = line[at : at + 2 * HASH_BYTES].decode()
        is_given_up = seq - 1 <= begins_behind and _entry(leaves, seq - 2) == HOLE
        if seq > 1 and not is_given_up and not _is_leaf(leaves, seq - 1, before):
            return BadTile(seq - 1, 0, "not the hash of the event")
    if stored == upto_seq and not _is_leaf(leaves, stored, last_hash):
        return BadTile(stored, 0, "not the hash of the event")
    holes = (seq for seq in range(begins_behind + 1, stored + 1) if _entry(leaves, seq - 1) == HOLE)
    hole = next(holes, None)
    return _upper(leaves, read) if hole is None else BadTile(hole, 0, "a hash is missing")


def _is_leaf(leaves: bytes, seq: int, event_hash: str) -> bool:
    return _entry(leaves, seq - 1) == leaf_hash(bytes.fromhex(event_hash))


def _entry(entries: bytes, index: int) -> bytes:
    return entries[index * HASH_BYTES : (index + 1) * HASH_BYTES]


def _upper(below: bytes, read: Callable[[int], bytes]) -> BadTile | None:
    """Each level above the leaves must be made of whole tiles of the one below it."""
    for level in count(1):
        stored = read(level)
        tiles = len(below) // (TILE_HASHES * HASH_BYTES)
        if len(stored) != tiles * HASH_BYTES:
            return BadTile(1, level, f"{len(stored)} bytes, not {tiles * HASH_BYTES}")
        for index in range(tiles):
            begin = index * TILE_HASHES
            entries = [_entry(below, at) for at in range(begin, begin + TILE_HASHES)]
            if HOLE not in entries and perfect_root(entries) != _entry(stored, index):
                seq = (index << (TILE_LEVELS * level)) + 1
                return BadTile(seq, level, "not the root of what is below it")
        if not tiles:
            return None
        below = stored
    return None
