"""A picture of 10 MB goes through beside the log, byte for byte, in all dialects (features D23)."""

import base64
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from tests.support.front import events_of, port_of, serving
from tests.support.speeches import ANTHROPIC, OLLAMA
from tests.support.stack import Stack
from tests.support.upstream import CHAT, Answer, Fault, ScriptedUpstream, Speech

pytestmark = pytest.mark.process

MODEL = "test-model"
PICTURE = base64.b64encode(random.Random(7).randbytes(7_500_000)).decode()
"""10 MB of base64."""
URL = f"data:image/png;base64,{PICTURE}"
LINES_BYTES_MAX = 2_000
"""What the log may grow by."""
SERVICES: dict[str, Speech] = {"openai": CHAT, "anthropic": ANTHROPIC, "ollama": OLLAMA}


def text(said: str) -> Any:
    return {"type": "text", "text": said}


ASKED: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {
        "messages": [
            {
                "role": "user",
                "content": [text("see"), {"type": "image_url", "image_url": {"url": URL}}],
            }
        ]
    },
    "/v1/responses": {
        "input": [
            {"role": "user", "content": [text("see"), {"type": "input_image", "image_url": URL}]}
        ]
    },
    "/v1/messages": {
        "max_tokens": 9,
        "messages": [
            {
                "role": "user",
                "content": [
                    text("see"),
                    {
                        "type": "image",
                        "source": {"type": "base64", "media_type": "image/png", "data": PICTURE},
                    },
                ],
            }
        ],
    },
    "/api/chat": {"messages": [{"role": "user", "content": "see", "images": [PICTURE]}]},
}


@pytest.fixture(scope="module", params=SERVICES)
def served(request: pytest.FixtureRequest) -> Iterator[tuple[Stack, ScriptedUpstream]]:
    with (
        ScriptedUpstream((MODEL,), speech=SERVICES[request.param]) as upstream,
        serving(upstream, request.param) as stack,
    ):
        yield stack, upstream


def log_files(stack: Stack) -> list[Path]:
    return [path for path in stack.paths.thehum.rglob("*") if path.is_file()]


@pytest.mark.parametrize("path", ASKED)
def test_the_service_gets_the_picture_and_the_log_its_digest(
    served: tuple[Stack, ScriptedUpstream], path: str
) -> None:
    stack, upstream = served
    upstream.forget()
    before = events_of(stack)[-1]["seq"]

    url = f"http://127.0.0.1:{port_of(stack)}{path}"
    answer = httpx.post(url, json={"model": MODEL, "stream": False, **ASKED[path]}, timeout=30)

    assert answer.status_code == 200, answer.text
    sent = orjson.dumps(upstream.requests[0])
    assert sent.count(PICTURE.encode()) == 1
    assert b'"see"' in sent
    assert b"attachment:" not in sent
    new = [event for event in events_of(stack) if event["seq"] > before]
    prompt = next(event for event in new if event["chi"] == "prompt")
    assert "attachment:image/png;sha256," in orjson.dumps(prompt["body"]).decode()
    assert len(orjson.dumps(prompt)) < LINES_BYTES_MAX
    piece = PICTURE[100_000:100_060].encode()
    assert not any(piece in path.read_bytes() for path in log_files(stack))
    assert list(stack.paths.attachments.iterdir()) == []


def test_a_client_that_leaves_leaves_no_picture(served: tuple[Stack, ScriptedUpstream]) -> None:
    stack, upstream = served
    hanging = Answer(fault=Fault.HANG_IN_TEXT)
    upstream.forget()
    upstream.script(hanging)
    url = f"http://127.0.0.1:{port_of(stack)}/v1/chat/completions"
    body = {"model": MODEL, "stream": True, **ASKED["/v1/chat/completions"]}

    with httpx.stream("POST", url, json=body, timeout=30) as answer:
        assert hanging.hanging.wait(15)
        assert len(list(stack.paths.attachments.iterdir())) == 1
        assert answer.status_code == 200

    stack.wait_for(lambda: not list(stack.paths.attachments.iterdir()), "end of the picture")


def test_an_answer_is_followed_by_name_with_its_picture(
    served: tuple[Stack, ScriptedUpstream],
) -> None:
    stack, upstream = served
    upstream.forget()
    url = f"http://127.0.0.1:{port_of(stack)}/v1/responses"
    first = httpx.post(url, json={"model": MODEL, **ASKED["/v1/responses"]}, timeout=30).json()

    body = {"model": MODEL, "input": "again", "previous_response_id": first["id"]}
    assert httpx.post(url, json=body, timeout=30).status_code == 200

    assert orjson.dumps(upstream.requests[1]).count(PICTURE.encode()) == 1
