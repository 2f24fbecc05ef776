"""Attachments in a request to a service: marks while it is built, base64 in its body."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from thrum.attachments import digest_of, reference
from workers.attachments import Attachments
from workers.core.anthropic import AnthropicWire
from workers.core.attachments import marked, splice
from workers.core.ollama import OllamaWire
from workers.core.wires import OpenaiWire, Wire
from workers.turns import TurnFailed

PICTURE = b"iVBORw0KGgo="
DIGEST = digest_of(PICTURE)
REFERENCE = reference("image/png", DIGEST)
NONCE = "00ff"


def body_of(wire: Wire, *messages: Any) -> bytes:
    """What a wire sends for these messages."""
    told, marks = marked(messages, NONCE)
    request = wire.body({"model": "m", "messages": told})
    return b"".join(splice(orjson.dumps(request), marks, {DIGEST: PICTURE}.__getitem__))


def user(*parts: Any) -> Any:
    return {"role": "user", "content": list(parts)}


IMAGE = {"type": "image_url", "image_url": {"url": REFERENCE}}
TEXT = {"type": "text", "text": f"see {REFERENCE} @{NONCE}.x@"}


@pytest.mark.parametrize("wire", [OpenaiWire(), AnthropicWire(), OllamaWire()])
def test_the_service_gets_the_bytes_that_the_client_sent(wire: Wire) -> None:
    body = orjson.loads(body_of(wire, user(TEXT, IMAGE, IMAGE)))
    told = orjson.dumps(body["messages"])

    assert told.count(PICTURE) == 2
    assert REFERENCE.encode() in told  # of the text, which is nobody's reference
    assert f"@{NONCE}.{DIGEST}".encode() not in told


def test_messages_without_references_are_as_they_were() -> None:
    messages = [{"role": "user", "content": "hi"}, user(TEXT)]

    assert marked(messages, NONCE) == (messages, {})


def test_an_attachment_is_read_by_its_digest(tmp_path: Path) -> None:
    (tmp_path / DIGEST).write_bytes(PICTURE)

    assert Attachments(tmp_path).read(DIGEST) == PICTURE


def test_one_that_is_not_here_fails_the_turn_with_a_reason(tmp_path: Path) -> None:
    with pytest.raises(TurnFailed, match="not on this machine"):
        Attachments(tmp_path).read(DIGEST)
