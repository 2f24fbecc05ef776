"""Tiles: the hashes of the tree as C2SP `tlog-tiles` cuts them, 256 to a tile.

Level 0 is the leaf hashes; entry `n` of level `l + 1` is the root of the whole tile `n` of level
`l`, which is a perfect subtree of 256^(l+1) leaves. Only what is in a whole tile of leaves is on
disk, so with the at most 255 leaves behind it every proof takes a few reads, however long the log.

Tiles are never trusted: a proof made from them is checked against a signed root, or not used.
"""

from collections.abc import Callable, Sequence

from thrum.errors import LocalError
from thrum.merkle import Node, node_hash, perfect_root

TILE_LEVELS = 8
TILE_HASHES = 1 << TILE_LEVELS
Read = Callable[[int, int, int], Sequence[bytes] | None]
"""Reads `count` entries of a level from this index on; None when they are not all there."""


class TilesLost(LocalError):
    """Hashes that should be in the tiles are not there. They can be computed anew."""


def whole(size: int) -> int:
    """How many of `size` leaves are in whole tiles."""
    return size - size % TILE_HASHES


def tile_nodes(read: Read, stored: int, tail: Sequence[bytes]) -> Node:
    """The perfect subtrees of a tree whose first `stored` leaves are in tiles, the rest in `tail`.

    What is missing of an upper level is computed from the one below. The node raises `TilesLost`
    when leaves are missing.
    """

    def node(level: int, index: int) -> bytes:
        start, end = index << level, (index + 1) << level
        if start >= stored:
            return perfect_root(tail[start - stored : end - stored])
        if end <= stored:
            width = 1 << level % TILE_LEVELS
            entries = read(level // TILE_LEVELS, index * width, width)
            if entries is not None:
                return perfect_root(entries)
        if level == 0:
            raise TilesLost(f"the hash of event {index + 1} is not in the tiles")
        return node_hash(node(level - 1, 2 * index), node(level - 1, 2 * index + 1))

    return node
