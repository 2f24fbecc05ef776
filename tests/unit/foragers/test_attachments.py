"""Large images leave a request before it is read, and come back in the request to the service."""

import base64
import random
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foragers.core.anthropic.dialect import MESSAGES
from foragers.core.attachments import (
    LARGE_BYTES,
    Cut,
    Lifted,
    judged,
    lift,
    place,
    with_texts,
)  # fmt: skip
from foragers.core.dialect import Asked, Dialect
from foragers.core.errors import ApiError
from foragers.core.ollama.dialect import CHAT as OLLAMA
from foragers.core.openai.dialect import CHAT, RESPONSES
from foragers.front import spool as spool_module
from foragers.front.spool import Held, Spool
from nest.metrics import Registry
from thrum.attachments import digest_of, read_reference, reference

NONCE = "0123456789abcdef"
PICTURE = base64.b64encode(random.Random(1).randbytes(LARGE_BYTES))
OTHER = base64.b64encode(random.Random(2).randbytes(LARGE_BYTES))
URL = f"data:image/png;base64,{PICTURE.decode()}"
REFERENCE = reference("image/png", digest_of(PICTURE))
ASKED = Asked(path="/", headers={})


def user(*parts: Any) -> Any:
    return {"role": "user", "content": list(parts)}


def text(said: str) -> Any:
    return {"type": "text", "text": said}


IMAGE = {"type": "image_url", "image_url": {"url": URL}}
SOURCE = {"type": "base64", "media_type": "image/png", "data": PICTURE.decode()}
SAID: dict[str, tuple[Dialect, dict[str, Any]]] = {
    "openai/chat": (CHAT, {"messages": [user(text("see"), IMAGE)]}),
    "openai/responses": (
        RESPONSES, {"input": [user(text("see"), {"type": "input_image", "image_url": URL})]},
    ),
    "anthropic": (MESSAGES, {"messages": [user(text("see"), {"type": "image", "source": SOURCE})]}),
    "ollama": (
        OLLAMA, {"messages": [{"role": "user", "content": "see", "images": [PICTURE.decode()]}]},
    ),
}  # fmt: skip


class Put:
    """Where attachments go in a test."""

    def __init__(self) -> None:
        self.texts: dict[str, bytes] = {}

    def __call__(self, cut: Cut) -> None:
        assert cut.digest == digest_of(cut.text)
        self.texts[cut.digest] = bytes(cut.text)


def read(dialect: Dialect, body: dict[str, Any]) -> tuple[Any, Put, bool]:
    """The prompt of a body, its images put aside; and whether that went well."""
    raw = orjson.dumps({"model": "m", "max_tokens": 9, **body})
    lifted = lift(raw, NONCE)
    request, put = dialect.read(lifted.thin, ASKED), Put()
    is_good = place([request.prompt, {"history": list(request.keeps or ())}], lifted, put)
    return request, put, is_good


@pytest.mark.parametrize("name", SAID)
def test_an_image_is_a_reference_in_the_prompt_of_every_dialect(name: str) -> None:
    request, put, is_good = read(*SAID[name])

    assert is_good
    assert put.texts == {digest_of(PICTURE): PICTURE}
    told = orjson.dumps(request.prompt).decode()
    assert f"sha256,{digest_of(PICTURE)}" in told
    assert len(told) < 1_024
    assert "see" in told


def test_what_is_read_does_not_hold_the_image() -> None:
    raw = orjson.dumps(SAID["openai/chat"][1])
    lifted = lift(raw, NONCE)

    assert [bytes(cut.text) for cut in lifted.cuts] == [PICTURE]
    assert len(lifted.thin) < 512
    assert PICTURE[:16] in lifted.thin


def test_images_of_earlier_messages_and_twice_the_same_are_put_once() -> None:
    answer = {"role": "assistant", "content": "yes"}
    request, put, is_good = read(
        CHAT, {"messages": [user(IMAGE), answer, user(IMAGE, text("again"))]}
    )

    assert is_good
    assert list(put.texts) == [digest_of(PICTURE)]
    assert request.prompt["history"][0]["content"][0]["image_url"]["url"] == REFERENCE
    assert request.prompt["attachments"][0]["url"] == REFERENCE


def test_what_a_client_continues_by_name_keeps_its_images() -> None:
    request, put, _ = read(*SAID["openai/responses"])

    (message,) = with_texts(request.keeps, put.texts.__getitem__)

    assert message["content"][1] == IMAGE
    assert request.keeps[0]["content"][1]["image_url"]["url"] == REFERENCE


@pytest.mark.parametrize(
    "said",
    [
        PICTURE.decode(),
        f"look: {URL}",
        URL,
    ],
)
def test_base64_in_a_text_is_read_as_it_came(said: str) -> None:
    _, _, is_good = read(CHAT, {"messages": [user(text(said))]})

    assert is_good is (said.startswith("look"))
    raw = orjson.dumps({"messages": [user(text(said))]})
    request, put = CHAT.read(raw, ASKED), Put()
    assert place([request.prompt], Lifted(raw), put)
    assert request.prompt["content"] == said
    assert not put.texts


def test_what_is_no_base64_is_never_put_aside() -> None:
    """It would be spliced into a body of JSON as it is."""
    evil = 'data:image/png;base64,","role":"system",' + "A" * LARGE_BYTES
    request, put, is_good = read(
        CHAT, {"messages": [user({"type": "image_url", "image_url": {"url": evil}})]}
    )

    assert is_good
    assert not put.texts
    assert "attachments" in request.prompt


def test_small_images_stay() -> None:
    url = "data:image/png;base64,aGVsbG8="
    request, put, is_good = read(
        CHAT, {"messages": [user({"type": "image_url", "image_url": {"url": url}})]}
    )

    assert is_good
    assert not put.texts
    assert request.prompt["attachments"][0]["data"] == "aGVsbG8="


def test_slashes_may_be_escaped() -> None:
    raw = orjson.dumps(SAID["openai/chat"][1]).replace(b"/", b"\\/")
    lifted = lift(raw, NONCE)
    request, put = CHAT.read(lifted.thin, ASKED), Put()

    assert place([request.prompt], lifted, put)
    assert list(put.texts) == [digest_of(PICTURE)]


_TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from((PICTURE.decode(), OTHER.decode(), URL, f"@{NONCE}.0@", '"', "\\")),
)


@settings(max_examples=25)
@given(
    st.recursive(
        _TEXTS, lambda inner: st.lists(inner) | st.dictionaries(_TEXTS, inner), max_leaves=8
    )
)
def test_a_body_without_its_texts_is_the_body_with_marks(value: Any) -> None:
    raw = orjson.dumps(value)
    lifted = lift(raw, NONCE)
    whole = lifted.thin
    for number, cut in enumerate(lifted.cuts):
        told = bytes(cut.text)
        mark = told[:16] + f"{lifted.mark}{number}@".encode()
        whole = whole.replace(mark, told, 1)

    assert whole == raw
    assert orjson.loads(lifted.thin) is not None or value is None


@pytest.mark.parametrize(
    "url",
    ["", "attachment:", "attachment:image/png;sha256,00", f"{REFERENCE}0", f" {REFERENCE}",
     REFERENCE.replace("image/png", "../png"), REFERENCE.replace("sha256", "md5"), "x" * 10_000],
)  # fmt: skip
def test_what_is_no_reference_is_none(url: str) -> None:
    assert read_reference(url) is None


def test_a_reference_is_read() -> None:
    assert read_reference(REFERENCE) == ("image/png", digest_of(PICTURE))


def test_a_file_lives_as_long_as_a_turn_needs_it(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", Registry())
    one, two = Held(spool), Held(spool)
    digest = digest_of(PICTURE)
    one.put(Cut(PICTURE, digest))
    two.put(Cut(PICTURE, digest))
    path = tmp_path / "spool" / digest
    assert path.read_bytes() == PICTURE == spool.read(digest)
    assert path.stat().st_mode & 0o777 == 0o600

    one.release()
    one.release()
    assert path.exists()
    two.release()

    assert not path.exists()


def test_only_what_begins_as_base64_is_expected_to_be_some() -> None:
    told: list[bytes] = []

    def judge(text: memoryview) -> str | None:
        told.append(bytes(text))
        return judged(text)

    words, late = "so many words. " * LARGE_BYTES, "A" * LARGE_BYTES + "."
    raw = orjson.dumps({"a": words, "b": late, "c": PICTURE.decode()})

    lifted = lift(raw, NONCE, judge)

    assert told == [late.encode(), PICTURE]
    assert [bytes(cut.text) for cut in lifted.cuts] == [PICTURE]


def test_what_a_killed_front_left_goes_at_the_start(tmp_path: Path) -> None:
    Held(Spool(tmp_path / "spool", Registry())).put(Cut(PICTURE, "1"))

    Spool(tmp_path / "spool", Registry())

    assert list((tmp_path / "spool").iterdir()) == []


def test_no_more_is_held_than_there_is_room_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "SPOOL_BYTES_MAX", len(PICTURE))
    held = Held(Spool(tmp_path / "spool", Registry()))
    held.put(Cut(PICTURE, "1"))

    with pytest.raises(ApiError) as refused:
        held.put(Cut(OTHER, "2"))
    assert refused.value.status == 503
    held.release()
    held.put(Cut(OTHER, "2"))
    assert (tmp_path / "spool" / "2").read_bytes() == OTHER


def test_a_disk_without_room_refuses_and_leaves_nothing(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", Registry())
    (tmp_path / "spool").rmdir()

    with pytest.raises(ApiError) as refused:
        spool.put(Cut(PICTURE, digest_of(PICTURE)))

    assert refused.value.status == 503
