"""The Merkle tree, against the vectors of RFC 6962's reference code and a naive tree."""

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thrum import merkle
from thrum.merkle import (
    EMPTY_ROOT,
    Frontier,
    Node,
    leaf_hash,
    perfect_root,
    verify_consistency,
    verify_inclusion,
)

LEAVES = [
    bytes.fromhex(each)
    for each in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
INCLUSIONS = [
    (0, 1, []),
    (0, 8, [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]),
    (5, 8, [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]),
    (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (1, 5, [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ]),
]  # fmt: skip
CONSISTENCIES = [
    (1, 1, []),
    (1, 8, [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]),
    (6, 8, [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]),
    (2, 5, [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ]),
]  # fmt: skip


def nodes(leaves: Sequence[bytes]) -> Node:
    """The perfect subtrees above raw leaves."""
    hashes = [leaf_hash(leaf) for leaf in leaves]
    return lambda level, index: perfect_root(hashes[index << level : index + 1 << level])


def naive_root(leaves: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    half = split(len(leaves))
    left, right = naive_root(leaves[:half]), naive_root(leaves[half:])
    return hashlib.sha256(b"\x01" + left + right).digest()


def naive_path(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PATH of RFC 6962, section 2.1.1."""
    if len(leaves) == 1:
        return []
    half = split(len(leaves))
    if index < half:
        return [*naive_path(index, leaves[:half]), naive_root(leaves[half:])]
    return [*naive_path(index - half, leaves[half:]), naive_root(leaves[:half])]


def naive_proof(old: int, leaves: Sequence[bytes], known: bool = True) -> list[bytes]:
    """SUBPROOF of RFC 6962, section 2.1.2."""
    if old == len(leaves):
        return [] if known else [naive_root(leaves)]
    half = split(len(leaves))
    if old <= half:
        return [*naive_proof(old, leaves[:half], known), naive_root(leaves[half:])]
    return [*naive_proof(old - half, leaves[half:], False), naive_root(leaves[:half])]


def split(count: int) -> int:
    half = 1
    while half * 2 < count:
        half *= 2
    return half


def data(count: int) -> list[bytes]:
    return [number.to_bytes(32, "big") for number in range(count)]


@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_of_the_reference(size: int) -> None:
    assert merkle.root(size, nodes(LEAVES)).hex() == ROOTS[size]
    assert Frontier().root(map(leaf_hash, LEAVES[:size])).hex() == ROOTS[size]
    assert naive_root(LEAVES[:size]).hex() == ROOTS[size]


@pytest.mark.parametrize(("index", "size", "proof"), INCLUSIONS)
def test_inclusion_proofs_are_those_of_the_reference(
    index: int, size: int, proof: list[str]
) -> None:
    made = merkle.inclusion(index, size, nodes(LEAVES))

    assert [each.hex() for each in made] == proof
    root = bytes.fromhex(ROOTS[size])
    assert verify_inclusion(leaf_hash(LEAVES[index]), made, root, index=index, size=size)


@pytest.mark.parametrize(("old", "size", "proof"), CONSISTENCIES)
def test_consistency_proofs_are_those_of_the_reference(
    old: int, size: int, proof: list[str]
) -> None:
    made = merkle.consistency(old, size, nodes(LEAVES))

    assert [each.hex() for each in made] == proof
    roots = bytes.fromhex(ROOTS[old]), bytes.fromhex(ROOTS[size])
    assert verify_consistency(*roots, made, old=old, size=size)


@given(st.integers(1, 70), st.data())
def test_an_inclusion_proof_is_the_naive_one_and_proves_one_place_only(
    size: int, draw: st.DataObject
) -> None:
    index = draw.draw(st.integers(0, size - 1))
    other = draw.draw(st.integers(0, size - 1))
    leaves = data(size)
    root = naive_root(leaves)

    proof = merkle.inclusion(index, size, nodes(leaves))

    assert proof == naive_path(index, leaves)
    for claimed in {index, other}:
        leaf = leaf_hash(leaves[index])
        good = verify_inclusion(leaf, proof, root, index=claimed, size=size)
        assert good is (claimed == index)


@given(st.integers(1, 70), st.data())
def test_a_consistency_proof_is_the_naive_one(size: int, draw: st.DataObject) -> None:
    old = draw.draw(st.integers(1, size))
    leaves = data(size)
    roots = naive_root(leaves[:old]), naive_root(leaves)

    proof = merkle.consistency(old, size, nodes(leaves))

    assert proof == naive_proof(old, leaves)
    assert verify_consistency(*roots, proof, old=old, size=size)


@given(st.integers(2, 70), st.data())
def test_no_proof_joins_two_histories(size: int, draw: st.DataObject) -> None:
    old = draw.draw(st.integers(1, size - 1))
    changed = draw.draw(st.integers(0, old - 1))
    leaves = data(size)
    forked = [*leaves[:changed], b"other", *leaves[changed + 1 :]]
    proofs = [merkle.consistency(old, size, nodes(each)) for each in (leaves, forked)]

    for proof in proofs:
        ends = naive_root(leaves[:old]), naive_root(forked)
        assert not verify_consistency(*ends, proof, old=old, size=size)


@given(st.integers(2, 70), st.data())
def test_a_damaged_proof_proves_nothing(size: int, draw: st.DataObject) -> None:
    index = draw.draw(st.integers(0, size - 1))
    leaves = data(size)
    leaf, root = leaf_hash(leaves[index]), naive_root(leaves)
    proof = naive_path(index, leaves)
    at = draw.draw(st.integers(0, len(proof) - 1))

    damaged = [
        [*proof[:at], bytes(32), *proof[at + 1 :]],
        [*proof[:at], *proof[at + 1 :]],
        [*proof[:at], b"", *proof[at:]],
        [*proof, bytes(32)],
        [*proof[:at], proof[at][:31], *proof[at + 1 :]],
    ]

    for each in damaged:
        assert not verify_inclusion(leaf, each, root, index=index, size=size)


@given(st.integers(0, 70), st.integers(0, 70), st.integers(0, 6))
def test_a_frontier_takes_leaves_and_whole_subtrees(size: int, more: int, level: int) -> None:
    whole = size << level
    leaves = data(whole + more)
    front = Frontier()

    for at in range(0, whole, 1 << level):
        front.append(nodes(leaves)(level, at >> level), level=level)

    assert front.root(map(leaf_hash, leaves[whole:])) == naive_root(leaves)
    assert front.root() == naive_root(leaves[:whole])


def test_a_subtree_begins_where_it_may() -> None:
    front = Frontier()
    front.append(bytes(32))

    with pytest.raises(ValueError):
        front.append(bytes(32), level=1)
    with pytest.raises(ValueError):
        Frontier(3, [bytes(32)])


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0)])
def test_there_is_no_proof_of_what_is_not_there(index: int, size: int) -> None:
    with pytest.raises(ValueError):
        merkle.inclusion(index, size, nodes(data(3)))
    assert not verify_inclusion(bytes(32), [], bytes(32), index=index, size=size)


def test_the_ends_of_consistency() -> None:
    node, roots = nodes(LEAVES), [bytes.fromhex(each) for each in ROOTS]

    assert merkle.consistency(0, 5, node) == merkle.consistency(5, 5, node) == []
    assert verify_consistency(EMPTY_ROOT, roots[5], [], old=0, size=5)
    assert verify_consistency(roots[5], roots[5], [], old=5, size=5)
    assert not verify_consistency(roots[4], roots[5], [], old=5, size=5)
    assert not verify_consistency(roots[3], roots[5], [], old=3, size=5)
    assert not verify_consistency(roots[1], roots[5], [], old=0, size=5)
    assert not verify_consistency(roots[5], roots[4], [], old=5, size=4)
    assert not verify_consistency(EMPTY_ROOT, roots[1], [], old=0, size=0)
    with pytest.raises(ValueError):
        merkle.consistency(6, 5, node)
