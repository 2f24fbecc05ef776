"""A snapshot of the router's state: its leaves, and the Merkle root over them.

A leaf is a key and a JSON value. Its hash is that of the Merkle tree (`thrum.merkle`) over the
length of the key in four bytes, the key, and the canonical JSON of the value; leaves stand in the
order of their keys. The empty state has the root of the empty tree.
"""

import struct
from collections.abc import Iterable
from typing import Any

from thrum.canonical import dumps
from thrum.merkle import Frontier, leaf_hash

Leaf = tuple[str, Any]
_LENGTH = struct.Struct(">I")


def hash_leaf(key: str, value: bytes) -> bytes:
    """The hash of a leaf; `value` is its canonical JSON."""
    name = key.encode()
    return leaf_hash(_LENGTH.pack(len(name)) + name + value)


def root_of(leaves: Iterable[Leaf]) -> bytes:
    """The root over leaves, which are sorted by key."""
    tree = Frontier()
    for key, value in leaves:
        tree.append(hash_leaf(key, dumps(value)))
    return tree.root()
