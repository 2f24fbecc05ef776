"""The Merkle tree of RFC 6962 (and 9162): append-only, with proofs of inclusion and consistency.

A leaf is SHA-256(00 || data), a node SHA-256(01 || left || right); the left subtree takes the
largest power of two smaller than the number of leaves; the empty tree is SHA-256 of nothing. Two
trees are made of it: over the log, where the data of leaf `seq - 1` is the 32-byte hash of event
`seq`, and over the router's state (`thrum.snapshots`).

Every root and proof is made of **perfect** subtrees: those of 2^level leaves whose first leaf is a
multiple of 2^level. Whoever has them hands in a `Node`; the ragged right edge is computed here.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence

HASH_BYTES = 32
LEAVES_MAX = 2**53
"""Sizes and indices stay below this, as every integer that we author."""
EMPTY_ROOT = hashlib.sha256(b"").digest()

Node = Callable[[int, int], bytes]
"""The root of a perfect subtree by its level and its index among those of this level."""


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf."""
    return hashlib.sha256(b"\0" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node above two others."""
    return hashlib.sha256(b"\1" + left + right).digest()


def perfect_root(nodes: Sequence[bytes]) -> bytes:
    """The root above 2^n nodes of one level."""
    while len(nodes) > 1:
        nodes = [node_hash(nodes[at], nodes[at + 1]) for at in range(0, len(nodes), 2)]
    return nodes[0]


class Frontier:
    """What is needed to go on appending: the roots of the perfect subtrees, largest first."""

    def __init__(self, size: int = 0, peaks: Iterable[bytes] = ()) -> None:
        """A tree of `size` leaves; `peaks` has one root for each 1 in the binary of `size`."""
        self.size = size
        self.peaks = list(peaks)
        if len(self.peaks) != size.bit_count():
            raise ValueError(f"{len(self.peaks)} peaks for {size} leaves")

    def append(self, node: bytes, *, level: int = 0) -> None:
        """Add a leaf hash, or a perfect subtree of 2^level leaves where one begins."""
        count = self.size >> level
        if count << level != self.size:
            raise ValueError(f"no subtree of level {level} begins at leaf {self.size}")
        while count & 1:
            node = node_hash(self.peaks.pop(), node)
            count >>= 1
        self.peaks.append(node)
        self.size += 1 << level

    def root(self, tail: Iterable[bytes] = ()) -> bytes:
        """The root of this tree, or of it and the leaf hashes `tail`."""
        whole = Frontier(self.size, self.peaks)
        for leaf in tail:
            whole.append(leaf)
        if not whole.peaks:
            return EMPTY_ROOT
        root = whole.peaks.pop()
        while whole.peaks:
            root = node_hash(whole.peaks.pop(), root)
        return root


def frontier(size: int, node: Node) -> Frontier:
    """The frontier of the first `size` leaves."""
    peaks: list[bytes] = []
    start = 0
    for level in reversed(range(size.bit_length())):
        if size >> level & 1:
            peaks.append(node(level, start >> level))
            start += 1 << level
    return Frontier(size, peaks)


def root(size: int, node: Node) -> bytes:
    """The root of the first `size` leaves."""
    return frontier(size, node).root()


def inclusion(index: int, size: int, node: Node) -> list[bytes]:
    """The proof that leaf `index` is in the tree of the first `size` leaves."""
    if not 0 <= index < size:
        raise ValueError(f"no leaf {index} in a tree of {size}")
    proof: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            proof.append(_range_root(middle, end, node))
            end = middle
        else:
            proof.append(_range_root(start, middle, node))
            start = middle
    return proof[::-1]


def consistency(old: int, size: int, node: Node) -> list[bytes]:
    """The proof that the first `old` of `size` leaves are a prefix; empty for 0 and for all."""
    if not 0 <= old <= size:
        raise ValueError(f"no tree of {old} in one of {size}")
    if old in (0, size):
        return []
    proof: list[bytes] = []
    start, end = 0, size
    while end != old:
        middle = start + _split(end - start)
        if old <= middle:
            proof.append(_range_root(middle, end, node))
            end = middle
        else:
            proof.append(_range_root(start, middle, node))
            start = middle
    if start:
        proof.append(_range_root(start, end, node))
    return proof[::-1]


def verify_inclusion(
    leaf: bytes, proof: Sequence[bytes], root: bytes, *, index: int, size: int
) -> bool:
    """Whether `proof` shows that the leaf hash `leaf` is at `index` below `root` (RFC 9162)."""
    if not 0 <= index < size <= LEAVES_MAX or not _are_hashes(leaf, root, *proof):
        return False
    at, last = index, size - 1
    found = leaf
    for sibling in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = node_hash(sibling, found)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and found == root


def verify_consistency(
    old_root: bytes, root: bytes, proof: Sequence[bytes], *, old: int, size: int
) -> bool:
    """Whether `proof` shows that the tree of `old` leaves is a prefix of that of `size`."""
    if not 0 <= old <= size <= LEAVES_MAX or not _are_hashes(old_root, root, *proof):
        return False
    if old == 0:
        return not proof and old_root == EMPTY_ROOT and (size > 0 or root == EMPTY_ROOT)
    if old == size:
        return not proof and old_root == root
    nodes = [old_root, *proof] if old & (old - 1) == 0 else [*proof]
    if not nodes:
        return False
    at, last = old - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    before = after = nodes[0]
    for node in nodes[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            before, after = node_hash(node, before), node_hash(node, after)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            after = node_hash(after, node)
        at, last = at >> 1, last >> 1
    return last == 0 and before == old_root and after == root


def _range_root(start: int, end: int, node: Node) -> bytes:
    """The root of a subtree of the whole tree: ragged only where the tree ends."""
    part = frontier(end - start, lambda level, index: node(level, (start >> level) + index))
    return part.root()


def _split(count: int) -> int:
    """The largest power of two smaller than `count`."""
    return 1 << (count - 1).bit_length() - 1


def _are_hashes(*hashes: bytes) -> bool:
    return all(len(each) == HASH_BYTES for each in hashes)
