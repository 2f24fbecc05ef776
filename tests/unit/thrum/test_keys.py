"""Ed25519 through libsodium. `reliability M6`."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thrum.keys import SigningKey, verify

KEY = SigningKey.from_seed(bytes(range(32)))
HUMD = "humd_56475aa75463474c0285df5dbf2bcab73da651358839e9b77481b2eab107708c"
ORDER = 2**252 + 27742317777372353535851937790883648493
FIELD = 2**255 - 19

HANDSHAKES = {
    0: (
        "b72d611ba0e2fbe67e811e4637b05c706a4aaed8151740d80cabf7de3246f782"
        "cf55a367774ba9708a5b1eb0b27207055823e37702e9006d6a30674610e3340e"
    ),
    1700000000000: (
        "a579a336dd00b2a70b9f06328fa30a88f3d10fd33515049d28ba6e08e8bb6de9"
        "187cc8e620e30f4b9270297960af199202655b6bc6425760f6634c2069e3830e"
    ),
}

SMALL_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
]
NOT_CANONICAL = [
    (FIELD + 1).to_bytes(32, "little").hex(),
    (FIELD + 1 + 2**255).to_bytes(32, "little").hex(),
    FIELD.to_bytes(32, "little").hex(),
    (2**255 - 1).to_bytes(32, "little").hex(),
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ff" * 32,
]


@pytest.mark.parametrize(
    ("seed", "public"),
    [
        (bytes(32), "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29"),
        (bytes(range(32)), "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"),
        (b"\xff" * 32, "76a1592044a6e4f511265bca73a604d90b0529d1df602be30a19a9257660d1f5"),
    ],
)
def test_a_seed_gives_its_public_key(seed: bytes, public: str) -> None:
    assert SigningKey.from_seed(seed).public.hex() == public


@pytest.mark.parametrize(("signed_at", "signature"), HANDSHAKES.items())
def test_signatures_match_the_vectors(signed_at: int, signature: str) -> None:
    message = f"hum-ensemble-handshake-v1:{HUMD}:{signed_at}".encode()

    assert KEY.sign(message).hex() == signature
    assert verify(KEY.public, message, bytes.fromhex(signature))


@given(st.binary(max_size=200), st.integers(0, 511))
def test_no_flipped_bit_of_a_signature_verifies(message: bytes, bit: int) -> None:
    signature = bytearray(KEY.sign(message))

    signature[bit // 8] ^= 1 << bit % 8

    assert not verify(KEY.public, message, bytes(signature))
    assert not verify(KEY.public, message + b"x", KEY.sign(message))


@pytest.mark.parametrize("public", SMALL_ORDER + NOT_CANONICAL)
def test_the_forgery_for_a_key_of_small_order_is_refused(public: str) -> None:
    key = bytes.fromhex(public)
    forgeries = [bytes.fromhex(point) + bytes(32) for point in SMALL_ORDER + NOT_CANONICAL]

    assert not any(verify(key, message, forged) for forged in forgeries for message in (b"", b"m"))


def test_a_signature_with_the_group_order_added_is_refused() -> None:
    signature = KEY.sign(b"m")
    scalar = int.from_bytes(signature[32:], "little") + ORDER

    assert not verify(KEY.public, b"m", signature[:32] + scalar.to_bytes(32, "little"))


def test_wrong_lengths_are_refused_not_raised() -> None:
    signature = KEY.sign(b"m")

    assert not verify(KEY.public[:-1], b"m", signature)
    assert not verify(KEY.public, b"m", signature[:-1])
    assert not verify(b"", b"", b"")


def test_a_seed_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        SigningKey.from_seed(b"short")


def test_a_key_does_not_show_or_copy_its_secret() -> None:
    assert repr(KEY) == f"SigningKey(public={KEY.public.hex()})"
    with pytest.raises(TypeError):
        copy.copy(KEY)
