"""The tree over the log, kept a little behind it, and the newest signed root of it.

Nothing here is in the way of an acknowledgement: durable events are read back, a slice at a time,
when there is nothing else to do. A root is signed only when the tree has reached the head, so that
every event in it is durable and covered by the head's hash.

At a start the tree goes on from the last checkpoint if the tiles lead to its root, otherwise from
the first event; then it must come by the same root. If it does not, the events are not those that
were signed for, and nothing more is signed: two roots for one size would be a lie for ever.

What a crash leaves: a checkpoint that is behind the log, tiles that are ahead of the checkpoint.
"""

import logging
from pathlib import Path

from nest.private import read_private, replace_private
from thehum.core.base import Base
from thehum.core.events import GENESIS, Head
from thehum.core.names import CHECKPOINT
from thehum.core.notes import BadNote, Checkpoint, open_checkpoint, origin, sign_checkpoint
from thehum.core.pages import PageLimits
from thehum.core.sealed import BrokenSegment
from thehum.core.tiles import TILE_HASHES, TILE_LEVELS, TileNodes, TilesLost, whole
from thehum.core.verify import Walk, start_of
from thehum.edge.disk import told_apart
from thehum.edge.log import Log
from thehum.edge.tiles import Tiles
from thrum.merkle import (
    HASH_BYTES,
    Frontier,
    consistency,
    frontier,
    inclusion,
    leaf_hash,
    root,
    verify_consistency,
    verify_inclusion,
)

EVERY_SECONDS = 30.0
"""How old the newest checkpoint of a log that grows may become."""
SLICE_EVENTS = 256
"""Read back at a time; about two milliseconds."""
SLICE_BYTES = 1024 * 1024
FINISH_EVENTS_MAX = 200_000
"""More than this is not caught up with at the end; the next start goes on with it."""

_PREV_HASH = b',"prev_hash":"'

log = logging.getLogger(__name__)


class Checkpoints:
    """See the module. Call `tick` now and then, `finish` before the log is closed."""

    def __init__(self, opened: Log, root: Path, *, now: float) -> None:
        """Go on from the newest checkpoint in the folder `root`. Raises as `Tiles.open` does."""
        self._log = opened
        self._path = root / CHECKPOINT
        self._due_at = now + EVERY_SECONDS
        self._tiles = Tiles(root)
        self._front = Frontier()
        """Of the whole tiles."""
        self._tail: list[bytes] = []
        """The leaf hashes behind them."""
        self._walk = self._walk_from(GENESIS)
        self.refused = opened.read_only
        """Why nothing is signed any more."""
        self.newest: Checkpoint | None = None
        self.note = ""
        """The newest checkpoint, signed."""
        if self.refused is None:
            self._resume()

    @property
    def size(self) -> int:
        """How many events the tree has."""
        return self._front.size + len(self._tail)

    def tick(self, now: float, *, is_idle: bool) -> bool:
        """Do a slice of what is due; whether there is more of it. Raises `DiskFull`."""
        if self.refused is not None:
            return False
        is_due = now >= self._due_at
        if not is_idle and not is_due:
            return False
        if self.advance():
            return True
        signed = self.newest.size if self.newest else 0
        if is_due or signed < self._log.sealed_seq:
            self.sign()
            self._due_at = now + EVERY_SECONDS
        return False

    def finish(self) -> None:
        """Sign the head, if the tree is not too far behind it. Raises `DiskFull`."""
        if self._log.head.seq - self.size <= FINISH_EVENTS_MAX:
            while self.advance():
                pass
            self.sign()

    def advance(self) -> bool:
        """Take the next slice of events into the tree; whether there are more."""
        if self.refused is not None or self.size >= self._log.head.seq:
            return False
        known = self.newest.size if self.newest else 0
        most = min(SLICE_EVENTS, known - self.size) if known > self.size else SLICE_EVENTS
        self._flush()
        limits = PageLimits(events_max=most, bytes_max=SLICE_BYTES)
        lines = self._log.page(self.size + 1, limits).lines if self._agrees() else []
        if not self._take(lines):
            self._give_up(f"event {self._walk.seq + 1} is not the one that was written")
        elif not self._agrees():
            self._give_up("the events are not those that a checkpoint was signed for")
        elif not lines:
            self._give_up(f"event {self.size + 1} cannot be read")
        return self.refused is None and self.size < self._log.head.seq

    def sign(self) -> Checkpoint | None:
        """Sign the root of the whole log and put it on disk; None when the tree is behind it.

        Raises `DiskFull`, after which the older checkpoint stands.
        """
        head = self._log.head
        if self.refused is not None or not self.size or self.size != head.seq:
            return None
        if self.newest is not None and self.newest.size == head.seq:
            return self.newest
        if self._walk.head.hash != head.hash:
            self._give_up(f"event {head.seq} on disk is not the one that was written")
            return None
        made = Checkpoint(
            origin(self._log.author, self._log.epoch), self.size, self._front.root(self._tail)
        )
        note = sign_checkpoint(made, self._log.key)
        with told_apart(f"writing {self._path}"):
            replace_private(self._path, note.encode())
        self.newest, self.note = made, note
        return made

    def prove_from(self, old: int) -> list[bytes]:
        """The proof that the newest checkpoint continues a log of `old` events, at most its own.

        Raises `TilesLost`. Without a checkpoint there is nothing to prove.
        """
        size = self.newest.size if self.newest else 0
        node = TileNodes(self._tiles.read, self._front.size, self._tail)
        return consistency(old, size, node)

    def prove_life(self) -> tuple[str, list[bytes]] | None:
        """The event that says which life of the log this is, and what leads from it to the root.

        None in the first life, and when it is not below the newest checkpoint. Raises `TilesLost`.
        """
        seq, newest = self._log.life_seq, self.newest
        lines = self._lines(seq, PageLimits(events_max=1, bytes_max=1)) if seq else []
        if newest is None or seq > newest.size or not lines:
            return None
        node = TileNodes(self._tiles.read, self._front.size, self._tail)
        return lines[0].decode(), inclusion(seq - 1, newest.size, node)

    # --- the base

    @property
    def safe_seq(self) -> int:
        """Up to here the hashes of events are in whole tiles and below a signed root."""
        return min(self._tiles.size, self.newest.size) if self.newest else 0

    @property
    def disk_bytes(self) -> int:
        """What the hashes take on disk."""
        return self._tiles.disk_bytes

    def drop_hashes(self, count: int) -> bool:
        """Give the room of the oldest `count` leaf hashes back; False where that cannot be."""
        return self._tiles.drop(count)

    def base_at(self, seq: int) -> Base | None:
        """The base of a log that begins behind event `seq`, which is at most `safe_seq`.

        The hashes are on disk then, as nobody can compute them anew without the events. None, and a
        reason in the log, when hashes and events do not agree.
        """
        lines = self._lines(seq + 1, PageLimits(events_max=1, bytes_max=1))
        newest = self.newest
        if newest is None or not lines:
            return None
        event_hash = _prev_hash(lines[0])
        node = TileNodes(self._tiles.read, self._front.size, self._tail)
        try:
            made = Checkpoint(origin(self._log.author, self._log.epoch), seq, root(seq, node))
            proof = consistency(seq, newest.size, node)
            included = inclusion(seq - 1, seq, node)
        except TilesLost as problem:
            log.error("log.not_dropped", extra={"seq": seq, "reason": problem.message})
            return None
        leaf = leaf_hash(bytes.fromhex(event_hash))
        if not (
            verify_consistency(made.root, newest.root, proof, old=seq, size=newest.size)
            and verify_inclusion(leaf, included, made.root, index=seq - 1, size=seq)
        ):
            log.error("log.not_dropped", extra={"seq": seq, "reason": "the hashes do not agree"})
            return None
        self._tiles.sync()
        note = sign_checkpoint(made, self._log.key)
        return Base(seq=seq, hash=event_hash, inclusion=included, note=note)

    # --- the tree

    def _take(self, lines: list[bytes]) -> bool:
        """Add the events on `lines` to the tree; False, and none is, when they do not follow.

        Each names the hash of the one before; the walk has recomputed them all.
        """
        flaw = self._walk.take(lines)
        self._walk.signed_seqs.clear()
        if flaw is not None:
            return False
        hashes = [_prev_hash(line) for line in lines[1:]]
        if lines:
            hashes.append(self._walk.head.hash)
        self._tail += [leaf_hash(bytes.fromhex(each)) for each in hashes]
        self._flush()
        return True

    def _flush(self) -> None:
        """Put whole tiles on disk. Raises `DiskFull`; a later call goes on where it failed."""
        while len(self._tail) >= TILE_HASHES:
            root = self._tiles.add(self._tail[:TILE_HASHES])
            self._front.append(root, level=TILE_LEVELS)
            del self._tail[:TILE_HASHES]

    def _agrees(self) -> bool:
        """Whether the tree has the root of the newest checkpoint, when it has its size."""
        newest = self.newest
        if newest is None or newest.size != self.size:
            return True
        return self._front.root(self._tail) == newest.root

    def _walk_from(self, head: Head) -> Walk:
        return Walk(self._log.author, self._log.public, head, later=self._log.keys.events)

    def _resume(self) -> None:
        self.newest = self._stored()
        size = self.newest.size if self.newest else 0
        if size > self._log.head.seq:
            self._give_up(
                f"the log ends at {self._log.head.seq}, a checkpoint was signed for {size}"
            )
        elif self._tiles.open(size) and self._take_up(size):
            return
        elif self._log.first_seq > 1:
            self._give_up("the tiles are lost, and the first events are no longer here")
        else:
            log.warning("log.tiles_lost", extra={"size": size})
            self._tiles.open(0)
            self._front, self._tail, self._walk = Frontier(), [], self._walk_from(GENESIS)

    def _take_up(self, size: int) -> bool:
        """Go on from a tree of `size` leaves; whether tiles and events led to its root."""
        stored = whole(size)
        try:
            self._front = frontier(stored, TileNodes(self._tiles.read, stored, []))
        except TilesLost:
            return False
        self._walk = self._walk_from(start_of(stored + 1))
        limits = PageLimits(events_max=TILE_HASHES, bytes_max=1 << 40)
        lines = self._lines(stored + 1, limits)[: size - stored]
        return self._take(lines) and self.size == size and self._agrees()

    def _lines(self, from_seq: int, limits: PageLimits) -> list[bytes]:
        """A page of events; none when their segment cannot be read."""
        try:
            return self._log.page(from_seq, limits).lines
        except BrokenSegment as problem:
            log.error("log.broken_segment", extra={"reason": problem.message})
            return []

    def _stored(self) -> Checkpoint | None:
        try:
            note = read_private(self._path).decode()
            keys = self._log.keys
            found = open_checkpoint(note, public=keys.first, later=keys.events)
            self.note = note
            return found
        except FileNotFoundError:
            return None
        except (BadNote, UnicodeDecodeError) as problem:
            log.warning("log.checkpoint_unreadable", extra={"reason": str(problem)})
            return None

    def _give_up(self, reason: str) -> None:
        self.refused = reason
        log.error("log.no_checkpoints", extra={"reason": reason})


def _prev_hash(line: bytes) -> str:
    """What a line that was verified names as its predecessor's hash.

    No text behind the body can hold these bytes: in a string the quote would be escaped.
    """
    at = line.rindex(_PREV_HASH) + len(_PREV_HASH)
    return line[at : at + 2 * HASH_BYTES].decode()
