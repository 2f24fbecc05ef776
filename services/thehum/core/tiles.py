"""Tiles: the hashes of the tree as C2SP `tlog-tiles` cuts them, 256 to a tile.

Level 0 is the leaf hashes; entry `n` of level `l + 1` is the root of the whole tile `n` of level
`l`, which is a perfect subtree of 256^(l+1) leaves. Only what is in a whole tile of leaves is on
disk, so with the at most 255 leaves behind it every proof takes a few reads, however long the log.

Tiles are never trusted: a proof made from them is checked against a signed root, or not used.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache

from thrum.errors import LocalError
from thrum.merkle import Levels, node_hash, perfect_levels, perfect_root

TILE_LEVELS = 8
TILE_HASHES = 1 << TILE_LEVELS
MIDDLE_LEVEL = 4
BLOCK_HASHES = 1 << MIDDLE_LEVEL
MIDDLES_MAX = 4_096
"""Tiles of leaves of which the upper nodes are kept: a million events, 10 MB."""
BLOCKS_MAX = 256
UPPER_MAX = 16_384
"""Nodes above tiles of leaves that are kept: two million events, 3 MB."""
Read = Callable[[int, int, int], Sequence[bytes] | None]
"""Reads `count` entries of a level from this index on; None when they are not all there."""


class TilesLost(LocalError):
    """Hashes that should be in the tiles are not there. They can be computed anew."""


def whole(size: int) -> int:
    """How many of `size` leaves are in whole tiles."""
    return size - size % TILE_HASHES


class TileNodes:
    """The perfect subtrees of a tree: a `Node`.

    Its first `stored` leaves are in tiles, the rest in `tail`. What is missing of an upper level is
    computed from the one below; `TilesLost` is raised when leaves are missing. Of what was read and
    computed a part is kept, so that the next proof costs some twenty hashes and a read: the nodes
    in the upper half of a tile of leaves, and all nodes above.
    """

    def __init__(self, read: Read, stored: int, tail: Sequence[bytes]) -> None:
        self._read = read
        self._stored = stored
        self._tail = tail
        self._middles = lru_cache(MIDDLES_MAX)(self._read_middles)
        self._blocks = lru_cache(BLOCKS_MAX)(self._read_block)
        self._upper = lru_cache(UPPER_MAX)(self._node)

    def __call__(self, level: int, index: int) -> bytes:
        return (self._node if level < TILE_LEVELS else self._upper)(level, index)

    def _node(self, level: int, index: int) -> bytes:
        start, end = index << level, (index + 1) << level
        if start >= self._stored:
            return perfect_root(self._tail[start - self._stored : end - self._stored])
        if end <= self._stored:
            found = self._in_tiles(*divmod(level, TILE_LEVELS), index)
            if found is not None:
                return found
        if level == 0:
            raise TilesLost(f"the hash of event {index + 1} is not in the tiles")
        return node_hash(self(level - 1, 2 * index), self(level - 1, 2 * index + 1))

    def _in_tiles(self, tile_level: int, height: int, index: int) -> bytes | None:
        """The node that is `height` above the entries of a level of tiles."""
        if tile_level == 0:
            floor = MIDDLE_LEVEL if height >= MIDDLE_LEVEL else 0
            number, at = divmod(index, BLOCK_HASHES >> (height - floor))
            nodes = (self._middles if floor else self._blocks)(number)
            return None if nodes is None else nodes[height - floor][at]
        entries = self._read(tile_level, index << height, 1 << height)
        return None if entries is None else perfect_root(entries)

    def _read_block(self, number: int) -> Levels | None:
        """The nodes above sixteen leaves, by their height."""
        leaves = self._read(0, number * BLOCK_HASHES, BLOCK_HASHES)
        return None if leaves is None else perfect_levels(leaves)

    def _read_middles(self, number: int) -> Levels | None:
        """The nodes of one tile above the blocks of sixteen leaves, by their height."""
        leaves = self._read(0, number * TILE_HASHES, TILE_HASHES)
        return None if leaves is None else perfect_levels(leaves)[MIDDLE_LEVEL:]
