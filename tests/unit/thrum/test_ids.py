"""Identifiers, with the vectors of docs/wire.md, section 3."""

import hashlib
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thrum import ids
from thrum.errors import MalformedId
from thrum.ids import Hid, HumAddress
from thrum.keys import SigningKey, verify

COUNTING = bytes(range(32))
COUNTING_HUMD = "humd_56475aa75463474c0285df5dbf2bcab73da651358839e9b77481b2eab107708c"


@pytest.mark.parametrize(
    ("sid", "nest", "expected"),
    [
        ("abc", "claude", "2ce06946efc0"),
        ("hum-X", "claude-repl", "d6560b664845"),
        ("hum-X", "claude-cli", "a841e5b0d39f"),
        ("", "claude-cli", "e270faa234b9"),
        ("café-☕", "claude-cli", "68f72a54ebc1"),
        ("acme:oai-3f2a", "claude-repl", "e98e3b8136f8"),
    ],
)
def test_a_sigil_stands_for_a_sid_within_a_nest(sid: str, nest: str, expected: str) -> None:
    assert ids.sigil(sid, nest) == expected


@pytest.mark.parametrize(
    ("ms", "counter", "expected"),
    [
        (0, 0, "0-0"),
        (1700000000000, 0, "loyw3v28-0"),
        (1700000000000, 35, "loyw3v28-z"),
        (1700000000000, 36, "loyw3v28-10"),
        (1748638611000, 1295, "mbbaa3i0-zz"),
    ],
)
def test_a_rid_is_time_and_counter_in_base_36(ms: int, counter: int, expected: str) -> None:
    assert ids.rid(ms, counter) == expected


@pytest.mark.parametrize(
    ("digest", "expected"),
    [
        (bytes(32), "0" * 52),
        (b"\xff" * 32, "Z" * 51 + "G"),
        (hashlib.sha256(b"").digest(), "WERC8GMRZGE196QVYK49JVXS4GKTWGF4CJDS6K54JPCHPY2JQ1AG"),
        (hashlib.sha256(b"abc").digest(), "Q9W1DFWF077YMGA183F5VBH24ER06RD3JRBQN75M23ZP3WG02PPG"),
        (COUNTING, "000G40R40M30E209185GR38E1W8124GK2GAHC5RR34D1P70X3RFG"),
    ],
)
def test_a_humid_writes_32_bytes_in_52_characters(digest: bytes, expected: str) -> None:
    assert ids.humid_from_bytes(digest) == expected


@pytest.mark.parametrize(
    ("ms", "tail", "expected"),
    [
        (1700000000000, bytes(26), "065WZSB8" + "0" * 44),
        (
            1700000000000,
            bytes(range(26)),
            "065WZSB8000020G30G2GC1R81450P30D1R7H048J2CA1A5GQ30CG",
        ),
        (
            1748638611000,
            b"\xff" * 26,
            "06BJ5YXP73ZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZG",
        ),
    ],
)
def test_a_minted_humid_begins_with_its_time(ms: int, tail: bytes, expected: str) -> None:
    minted = ids.mint_humid(ms, tail)

    assert minted == expected
    assert ids.humid_ms(minted) == ms


def test_a_humid_takes_26_random_bytes_and_no_fewer() -> None:
    with pytest.raises(ValueError, match="26"):
        ids.mint_humid(0, bytes(25))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hum-X", "JS3JAC5EB655G1CHKHD237D8VNG2F80Q7YV0AGZWJ54WKJ91Q630"),
        ("oai-3f2a9c", "NE8FQYJ1QD9SCRDX4MJJXT4DDMD93S4S3VS4B65G6MCBDHZ44Q20"),
    ],
)
def test_a_foreign_text_is_projected_to_the_same_humid_everywhere(text: str, expected: str) -> None:
    assert ids.humid_from_foreign(text) == expected


def test_a_hundred_thousand_foreign_texts_are_projected_as_everywhere() -> None:
    """Features A3: the digest was made by another program, from the rule alone."""
    together = hashlib.sha256()
    for number in range(100_000):
        together.update(ids.humid_from_foreign(f"sid-{number}-é").encode())

    expected = "0d00d5380dcea940e88b4d567dde54a4fe489a7736a6014344ede375f96e89f2"
    assert together.hexdigest() == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hum-X", "b41057e9-66d0-52d0-9835-7f424cf495c9"),
        (ids.humid_from_foreign("hum-X"), "bfe4643e-0cf2-5c02-8179-9139971f943f"),
        ("065WZSB8" + "0" * 44, "ed7f8254-db4a-5849-b02f-556d0122968c"),
    ],
)
def test_a_session_uuid_is_made_of_the_text_of_an_id(text: str, expected: str) -> None:
    assert ids.session_uuid(text) == uuid.UUID(expected)


@given(st.integers(0, 2**48 - 1), st.integers(0, 2**48 - 1), st.binary(min_size=26, max_size=26))
def test_minted_humids_sort_by_time(first: int, second: int, tail: bytes) -> None:
    early, late = sorted((first, second))

    assert ids.mint_humid(early, tail) <= ids.mint_humid(late, tail)


@given(st.binary(min_size=32, max_size=32))
def test_what_is_written_as_a_humid_parses(digest: bytes) -> None:
    humid = ids.humid_from_bytes(digest)

    assert ids.parse_humid(humid) == humid


@pytest.mark.parametrize("text", ["", "0" * 51, "0" * 53, "O" * 52, "z" * 52, "0" * 52 + "\n"])
def test_other_text_is_no_humid(text: str) -> None:
    with pytest.raises(MalformedId):
        ids.parse_humid(text)


@pytest.mark.parametrize(
    ("seed", "public", "humd"),
    [
        (
            bytes(32),
            "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29",
            "humd_139e3940e64b5491722088d9a0d741628fc826e09475d341a780acde3c4b8070",
        ),
        (
            COUNTING,
            "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8",
            COUNTING_HUMD,
        ),
        (
            b"\xff" * 32,
            "76a1592044a6e4f511265bca73a604d90b0529d1df602be30a19a9257660d1f5",
            "humd_af822958f2d75afb91f8a8f4da253230d63bebf8c3ce8fa9a2e275c2cd35456e",
        ),
    ],
)
def test_a_hid_is_the_hash_of_a_public_key(seed: bytes, public: str, humd: str) -> None:
    key = SigningKey.from_seed(seed)

    assert key.public.hex() == public
    assert str(ids.hid_of("humd", key.public)) == humd
    assert str(ids.hid_of("wbee", key.public)) == humd.replace("humd", "wbee")


def test_a_short_hid_is_padded_and_equals_no_full_one() -> None:
    short = ids.parse_hid("humd_56475aa75463")

    assert short == Hid("humd", bytes.fromhex("56475aa75463") + bytes(26))
    assert short != ids.parse_hid(COUNTING_HUMD)
    assert ids.parse_hid(COUNTING_HUMD).short == "humd_56475aa75463"


def test_a_bare_hid_is_of_a_humd_and_upper_case_is_lowered() -> None:
    assert str(ids.parse_hid(COUNTING_HUMD.removeprefix("humd_").upper())) == COUNTING_HUMD


def test_hids_of_one_key_differ_by_their_prefix() -> None:
    assert ids.parse_hid(COUNTING_HUMD) != ids.parse_hid(COUNTING_HUMD.replace("humd", "wbee"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "_",
        "humd_",
        "bee_" + "0" * 64,
        "humd_" + "0" * 63,
        "humd_" + "0" * 65,
        "humd_xyz",
        "0" * 12,
        "humd__" + "0" * 63,
        "HUMD_" + "0" * 64,
        "humd_" + "0" * 64 + "\n",
        "humd_" + "٠" * 64,
    ],
)
def test_other_text_is_no_hid(text: str) -> None:
    with pytest.raises(MalformedId):
        ids.parse_hid(text)


@given(st.text())
def test_any_text_is_a_hid_or_a_documented_error(text: str) -> None:
    try:
        hid = ids.parse_hid(text)
    except MalformedId:
        return
    assert ids.parse_hid(str(hid)) == hid


@pytest.mark.parametrize(
    ("signed_at", "signature"),
    [
        (
            0,
            (
                "b72d611ba0e2fbe67e811e4637b05c706a4aaed8151740d80cabf7de3246f782"
                "cf55a367774ba9708a5b1eb0b27207055823e37702e9006d6a30674610e3340e"
            ),
        ),
        (
            1700000000000,
            (
                "a579a336dd00b2a70b9f06328fa30a88f3d10fd33515049d28ba6e08e8bb6de9"
                "187cc8e620e30f4b9270297960af199202655b6bc6425760f6634c2069e3830e"
            ),
        ),
        (
            1748638611000,
            (
                "f1ed04fc4bda54c8daadeeb2ccdb1b2e1c94ab79b83213ac9888a4e15d245e3d"
                "8a6e8179483da4cc47ac58681e99e0d95cd6a2807c49dd99a95f4dc6db7c8704"
            ),
        ),
    ],
)
def test_a_peer_handshake_is_signed_with_the_key_of_the_hid(signed_at: int, signature: str) -> None:
    key = SigningKey.from_seed(COUNTING)
    message = f"hum-ensemble-handshake-v1:{COUNTING_HUMD}:{signed_at}".encode()

    assert key.sign(message).hex() == signature
    assert verify(key.public, message, bytes.fromhex(signature))
    assert not verify(key.public, message + b"0", bytes.fromhex(signature))


@pytest.mark.parametrize(
    ("text", "host", "path"),
    [
        ("hum://workstation/Users/op/auth", "workstation", "Users/op/auth"),
        ("hum://my_box/x", "my_box", "x"),
        ("hum://humd_tower/x", "humd_tower", "x"),
        ("hum://alone", "alone", ""),
        ("hum://humd_56475aa75463/", ids.parse_hid("humd_56475aa75463"), ""),
        (f"hum://{COUNTING_HUMD}/a/b", ids.parse_hid(COUNTING_HUMD), "a/b"),
    ],
)
def test_a_hum_address_names_a_host_and_a_path(text: str, host: Hid | str, path: str) -> None:
    assert ids.parse_hum_address(text) == HumAddress(host, path)


@pytest.mark.parametrize("text", ["/tmp/x", "", "http://x/y", "HUM://x/y", "hum:/x"])
def test_other_text_is_no_hum_address(text: str) -> None:
    assert ids.parse_hum_address(text) is None


@pytest.mark.parametrize("text", ["hum:///x", "hum://", "hum://humd_56/x", "hum://fbee_abcd"])
def test_a_broken_hum_address_is_an_error_and_not_an_alias(text: str) -> None:
    with pytest.raises(MalformedId):
        ids.parse_hum_address(text)
