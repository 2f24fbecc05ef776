"""What a model reads of a command's output (humfs 10.4, reliability 6.1)."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from humfs.core.shell.output import HEAD_BYTES, HELD_CHARS_MAX, TAIL_BYTES, Stream, told
from humfs.core.shell.secrets import SHOWN

PIECES = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.sampled_from(
            [b"\x1b[31m", b"\x1b]0;title\x07", b"\r\n", "é…".encode(), b"sk-", b"\x1b"]
        ),
    )
)
UNREADABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def stream(*pieces: bytes) -> Stream:
    made = Stream()
    for piece in pieces:
        made.add(piece)
    return made


@given(PIECES)
def test_it_does_not_matter_where_a_stream_is_cut(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    single = (whole[at : at + 1] for at in range(len(whole)))

    assert stream(*pieces).text() == stream(whole).text() == stream(*single).text()


@given(PIECES)
def test_what_is_told_on_the_way_is_what_is_told_in_the_end(pieces: list[bytes]) -> None:
    made = Stream()
    heard = "".join(made.add(piece) for piece in pieces)

    assert made.text().startswith(heard)
    assert not UNREADABLE.search(made.text())
    assert made.bytes_total == sum(map(len, pieces))


@pytest.mark.parametrize(
    ("printed", "read"),
    [
        (b"\x1b[1;31mred\x1b[0m", "red"),
        (b"\x1b]0;a title\x07x\x1b]8;;http://x\x1b\\link", "xlink"),
        (b"\x1bP1$r0m\x1b\\x", "x"),
        (b"a\rb\r\nc\td", "a\\rb\nc\td"),
        (b"\x00\x07\x7f\x1b", "\\x00\\x07\\x7f\\x1b"),
        ("a\u202eb\u2066".encode(), "a\\u202eb\\u2066"),
        (b"\xff\xc3", "\ufffd\ufffd"),
        (b"\xc2\x9b31mx", "x"),
    ],
)
def test_nothing_is_left_that_a_terminal_obeys(printed: bytes, read: str) -> None:
    """P37, P38, P39."""
    assert stream(printed).text() == read


@pytest.mark.parametrize(
    "secret",
    [
        "sk-ant-api03-" + "a" * 80,
        "sk-proj-" + "b" * 40,
        "ghp_" + "c" * 36,
        "github_pat_" + "d" * 60,
        "xoxb-1234567890-abc",
        "AKIA" + "Q" * 16,
        "AIza" + "e" * 35,
        "eyJ" + "f" * 20 + ".eyJ" + "g" * 20 + "." + "h" * 20,
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----",
    ],
)
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_keys_are_removed_wherever_they_are_cut(secret: str, size: int) -> None:
    printed = f"key: {secret} end\n".encode()
    pieces = [printed[at : at + size] for at in range(0, len(printed), size)]
    made = Stream()
    heard = "".join(made.add(piece) for piece in pieces)

    assert made.text() == f"key: {SHOWN} end\n"
    assert secret not in heard


def test_a_cap_is_exact_and_says_what_is_missing() -> None:
    kept = HEAD_BYTES + TAIL_BYTES
    fits, over = stream(b"a" * kept), stream(b"a" * 10_000, b"b" * 30_000)

    assert (fits.left_out, len(fits.text())) == (0, kept)
    assert over.text() == "a" * 10_000 + "\n[10000 bytes left out]\n" + "b" * 20_000


def test_a_character_at_the_cut_goes_whole() -> None:
    text = stream(b"x" + "é".encode() * 30_000).text()

    assert "\ufffd" not in text
    assert len(text.encode()) <= HEAD_BYTES + TAIL_BYTES + 40


def test_what_waits_to_be_judged_is_bounded() -> None:
    made = Stream()
    heard = made.add(b"\x1b]" + b"a" * (3 * HELD_CHARS_MAX))
    heard += made.add(b"b" * HELD_CHARS_MAX)

    assert len(heard) >= 2 * HELD_CHARS_MAX


def test_the_output_of_a_call_has_its_parts_in_order() -> None:
    out, err = stream(b"out\n"), stream(b"err")

    assert told(out, err, exit_status=2, first=["Note."], last=["(more)"]) == (
        "Note.\nout\n<stderr>\nerr\n</stderr>\n(exit 2)\n(more)"
    )
    assert told(Stream(), Stream(), exit_status=0, first=[], last=[]) == "(exit 0)"
    assert told(stream(b"x\n"), Stream(), exit_status=0, first=[], last=[]) == "x"
