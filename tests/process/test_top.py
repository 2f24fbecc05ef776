"""`hum top` and the ids of requests, over the whole stack, on a terminal of its own."""

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest
from tests.support.front import events_of, port_of
from tests.support.stack import CORE, Stack

pytestmark = pytest.mark.process

HI: Any = [{"role": "user", "content": "hi"}]
SECONDS = 20.0
PATHS = {
    "/v1/chat/completions": {"messages": HI},
    "/v1/responses": {"input": "hi"},
    "/v1/messages": {"messages": HI, "max_tokens": 9},
    "/api/chat": {"messages": HI},
}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(services=(*CORE, "scout", "front", "sidecar")) as running:
        for bee in ("scout", "front", "sidecar"):
            running.wait_bee(bee)
        yield running


@pytest.fixture
def url(stack: Stack) -> str:
    return f"http://127.0.0.1:{port_of(stack)}"


class Terminal:
    """A program on a terminal."""

    def __init__(self, stack: Stack, *arguments: str) -> None:
        self._ours, theirs = pty.openpty()
        self.text = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hum", *arguments],
            env={**os.environ, **stack.env, "TERM": "xterm"},
            stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)

    def wait_for(self, text: str) -> None:
        """Read until `text` was shown."""
        ends = time.monotonic() + SECONDS
        while text not in self.text:
            assert time.monotonic() < ends, self.text
            ready, _, _ = select.select([self._ours], [], [], 1.0)
            if ready:
                self.text += os.read(self._ours, 65_536).decode()

    def press(self, key: str) -> None:
        os.write(self._ours, key.encode())

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)


def test_it_shows_what_runs_until_it_is_left_and_gives_the_screen_back(
    stack: Stack, url: str
) -> None:
    asked = {"model": "scout", "messages": HI}
    httpx.post(f"{url}/v1/chat/completions", json=asked, headers={"x-hum-agent": "ada"})
    terminal = Terminal(stack, "top", "--every", "0.2")
    try:
        terminal.wait_for("scout")
        terminal.press("a")
        terminal.wait_for("ada")
        terminal.press("q")
        terminal.wait_for("\x1b[?1049l")

        assert terminal.process.wait(SECONDS) == 0
        assert "\x1b[?1049h" in terminal.text
        assert "1 workers" in terminal.text
    finally:
        terminal.close()


def test_elsewhere_it_prints_one_look(stack: Stack, url: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hum", "top", "--once", "--json"],
        env={**os.environ, **stack.env}, capture_output=True, timeout=30, check=True,
    )  # fmt: skip

    shown = orjson.loads(done.stdout)
    assert {"running", "requests", "rows", "budgets"} <= shown.keys()
    assert b"\x1b" not in done.stdout


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("model", ["scout", "nobody"])
@pytest.mark.parametrize("is_stream", [False, True])
def test_every_answer_has_an_id_that_leads_to_its_prompt_and_says_what_the_front_took(
    stack: Stack, url: str, path: str, model: str, is_stream: bool
) -> None:
    """Experience 5.8."""
    body = {"model": model, "stream": is_stream, **PATHS[path]}

    answer = httpx.post(f"{url}{path}", json=body)

    found = answer.headers.get("x-request-id") or answer.headers["request-id"]
    (prompt,) = [event for event in events_of(stack) if event["rid"] == found]
    assert prompt["chi"] == "prompt"
    parts = dict(part.split(";dur=") for part in answer.headers["server-timing"].split(", "))
    assert 0 <= float(parts["hum"]) <= float(parts["total"])
    if model == "nobody":
        assert answer.status_code == 404
        assert f'"request":"{found}"' in stack.log("front")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/models", 200), ("GET", "/v1/models/nobody", 404), ("GET", "/nowhere", 404),
        ("GET", "/v1/messages", 405), ("POST", "/api/show", 400), ("POST", "/api/pull", 501),
        ("GET", "/", 200), ("GET", "/api/version", 200), ("POST", "/v1/messages/count_tokens", 400),
    ],
)  # fmt: skip
def test_every_other_answer_has_an_id_too(url: str, method: str, path: str, status: int) -> None:
    answer = httpx.request(method, f"{url}{path}", json={} if method == "POST" else None)

    assert answer.status_code == status
    assert {"x-request-id", "request-id"} & answer.headers.keys()
