"""Signed notes and checkpoints."""

from base64 import b64decode, b64encode
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.thehum.chains import AUTHOR, KEY, group

from thehum.core.events import split_line
from thehum.core.notes import (
    BadNote,
    Checkpoint,
    key_id,
    open_checkpoint,
    open_note,
    origin,
    read_checkpoint,
    sign_checkpoint,
    signature_line,
    split_note,
)
from thrum.keys import SigningKey, verify

CHECKPOINT = Checkpoint(origin(AUTHOR), 1_000_000, bytes(range(32)))
NOTE = sign_checkpoint(CHECKPOINT, KEY)
OTHER = SigningKey.from_seed(bytes(32))

GO_TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
GO_NAME = "PeterNeumann"
GO_KEY = b64decode("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
GO_SIGNATURE = (
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
)
GO_NOTE = f"{GO_TEXT}\n— {GO_NAME} {GO_SIGNATURE}\n"


def test_the_note_of_the_reference_implementation_opens() -> None:
    assert key_id(GO_NAME, GO_KEY[1:]).hex() == "c74f20a3"
    assert open_note(GO_NOTE, name=GO_NAME, public=GO_KEY[1:]) == GO_TEXT


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("cryptography", "cryptographY"),
        ("— PeterNeumann x08go", "— PeterNeumann x08gp"),
        ("PeterNeumann", "PeterNewmann"),
        ("nAM=", "nAQ="),
        ("\n\n", "\n"),
        ("—", "-"),
        ("nAM=\n", "nAM="),
        ("nAM=\n", "nAM=\n\n"),
        ("If you", "If\tyou"),
    ],
)
def test_a_changed_note_does_not_open(old: str, new: str) -> None:
    assert old in GO_NOTE

    with pytest.raises(BadNote):
        open_note(GO_NOTE.replace(old, new, 1), name=GO_NAME, public=GO_KEY[1:])


def test_a_checkpoint_is_read_back() -> None:
    assert open_checkpoint(NOTE, public=KEY.public) == CHECKPOINT
    lines = NOTE.split("\n")
    assert lines[:2] == [f"hum/{AUTHOR}/1", "1000000"]
    assert lines[2] == b64encode(bytes(range(32))).decode()
    assert lines[4].startswith(f"— hum/{AUTHOR}/1 ")
    assert CHECKPOINT.author == AUTHOR


def test_signatures_of_others_are_passed_over() -> None:
    witness = signature_line("witness.example/w", key_id("witness.example/w", bytes(32)), b"x" * 72)

    assert open_checkpoint(NOTE + witness, public=KEY.public) == CHECKPOINT
    assert [name for name, _ in split_note(NOTE + witness)[1]] == [
        origin(AUTHOR),
        "witness.example/w",
    ]


def test_every_signature_of_the_log_itself_must_be_good() -> None:
    wrong = signature_line(origin(AUTHOR), key_id(origin(AUTHOR), KEY.public), bytes(64))

    with pytest.raises(BadNote):
        open_checkpoint(NOTE + wrong, public=KEY.public)


def test_only_the_key_of_the_log_speaks_for_it() -> None:
    with pytest.raises(BadNote):
        open_checkpoint(NOTE, public=OTHER.public)
    with pytest.raises(BadNote):
        open_checkpoint(sign_checkpoint(CHECKPOINT, OTHER), public=OTHER.public)
    with pytest.raises(BadNote):
        open_checkpoint(sign_checkpoint(CHECKPOINT, OTHER), public=KEY.public)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (0, f"hum/{AUTHOR}/0"),
        (0, f"hum/{AUTHOR}"),
        (0, f"bee/{AUTHOR}/1"),
        (0, "hum/wbee_" + "0" * 64 + "/1"),
        (1, "01"),
        (1, "-1"),
        (1, "1e3"),
        (1, "9007199254740993"),
        (1, "9" * 5000),
        (1, "١"),
        (2, ""),
        (2, "AAAA"),
        (2, "AAAA*"),
        (2, b64encode(bytes(31)).decode()),
        (2, b64encode(bytes(32)).decode().replace("AA=", "AB=")),
        (3, "more\n"),
    ],
)
def test_a_malformed_checkpoint_is_refused(line: int, text: str) -> None:
    lines = CHECKPOINT.text.split("\n")
    lines[line] = text

    with pytest.raises(BadNote):
        read_checkpoint("\n".join(lines))


def test_a_signature_over_an_event_is_none_over_a_checkpoint() -> None:
    line = group(1).data[:-1]
    canonical, sig = split_line(line)
    assert sig is not None
    assert verify(KEY.public, canonical, bytes.fromhex(sig))
    name = origin(AUTHOR)
    below = signature_line(name, key_id(name, KEY.public), bytes.fromhex(sig))

    for text in (canonical.decode(), canonical.decode() + "\n"):
        with pytest.raises(BadNote):
            open_checkpoint(f"{text}\n{below}", public=KEY.public)
    assert (CHECKPOINT.text[:4], canonical[:10]) == ("hum/", b'{"author":')
    assert (CHECKPOINT.text[-1], canonical[-1:]) == ("\n", b"}")


@given(st.text())
def test_any_text_is_a_note_or_a_bad_note(text: str) -> None:
    with suppress(BadNote):
        split_note(text)
    with suppress(BadNote):
        read_checkpoint(text)


@given(st.text(), st.integers(0, len(NOTE)), st.integers(0, 3))
def test_a_note_that_was_edited_says_the_same_or_nothing(text: str, at: int, cut: int) -> None:
    edited = NOTE[:at] + text + NOTE[at + cut :]
    with suppress(BadNote):
        assert open_checkpoint(edited, public=KEY.public) == CHECKPOINT
