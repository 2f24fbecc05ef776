"""Keys from the command line to the front: shown once, scoped, revoked at once."""

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import openai
import orjson
import pytest
from tests.support.front import port_of
from tests.support.stack import CORE, QUIET_SETTINGS, Stack

from nest.lifecycle import EXIT_SETTINGS

pytestmark = pytest.mark.process

HI: Any = [{"role": "user", "content": "hi"}]
ANYWHERE = {**QUIET_SETTINGS, "front": {"port": 0, "host": "0.0.0.0", "names": ["hum.example"]}}


def hum(stack: Stack, *arguments: str, status: int = 0) -> Any:
    """Run `hum` with `--json`; what it printed."""
    command = [sys.executable, "-m", "hum", *arguments, "--json"]
    done = subprocess.run(
        command, env={**os.environ, **stack.env}, capture_output=True, timeout=30, check=False
    )
    assert done.returncode == status, done.stderr.decode()
    return orjson.loads(done.stdout) if done.stdout else done.stderr.decode()


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A front that other machines reach; it has a key."""
    with Stack(services=(*CORE, "scout"), settings=ANYWHERE) as running:
        running.wait_bee("scout")
        yield running


@pytest.fixture(scope="module")
def base_url(stack: Stack) -> str:
    """Where it is; the first start is refused, as nobody has a key."""
    stack.start("front", instance="keyless")
    assert stack.wait_exit("keyless") == EXIT_SETTINGS
    assert "hum key create" in stack.log("keyless")
    hum(stack, "key", "create", "--name", "first")
    stack.start("front")
    stack.wait_bee("front")
    return f"http://127.0.0.1:{port_of(stack)}"


def test_a_front_that_others_reach_needs_a_key_for_everything(base_url: str, stack: Stack) -> None:
    made = hum(stack, "key", "create")["key"]
    for path in ("/v1/models", "/api/tags", "/v1/models/scout"):
        assert httpx.get(f"{base_url}{path}").status_code == 401
        assert httpx.get(f"{base_url}{path}", headers={"x-api-key": made}).status_code == 200
    refused = httpx.post(f"{base_url}/v1/chat/completions", json={"model": "scout", "messages": HI})
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == "Bearer"
    assert refused.json()["error"]["type"] == "authentication_error"
    assert httpx.get(f"{base_url}/healthz").status_code == 200
    port = base_url.rpartition(":")[2]
    named = httpx.get(f"{base_url}/", headers={"Host": f"hum.example:{port}"})
    assert named.text == "Ollama is running"


def test_a_key_is_shown_once_and_kept_as_a_hash(base_url: str, stack: Stack) -> None:
    made = hum(stack, "key", "create", "--name", "once", "--agent", "ada")

    listed = next(key for key in hum(stack, "key", "list")["keys"] if key["id"] == made["id"])
    assert (listed["name"], listed["agent"], listed["state"]) == ("once", "ada", "live")
    secret = made["key"].encode()
    for path in stack.home.rglob("*"):
        if path.is_file() and not path.is_socket():
            assert secret not in path.read_bytes()


def test_clients_of_all_kinds_send_it_and_a_revoked_one_opens_nothing_at_once(
    base_url: str, stack: Stack
) -> None:
    made = hum(stack, "key", "create")
    with (
        openai.OpenAI(base_url=f"{base_url}/v1", api_key=made["key"], max_retries=0) as one,
        anthropic.Anthropic(base_url=base_url, api_key=made["key"], max_retries=0) as two,
        anthropic.Anthropic(
            base_url=base_url, api_key=None, auth_token=made["key"], max_retries=0
        ) as three,
    ):
        one.chat.completions.create(model="scout", messages=HI)
        two.messages.create(model="scout", messages=HI, max_tokens=9)
        three.messages.create(model="scout", messages=HI, max_tokens=9)

        assert hum(stack, "key", "revoke", made["id"])["state"] == "revoked"

        with pytest.raises(openai.AuthenticationError, match="revoked"):
            one.chat.completions.create(model="scout", messages=HI)
        for client in (two, three):
            with pytest.raises(anthropic.AuthenticationError, match="revoked"):
                client.messages.create(model="scout", messages=HI, max_tokens=9)


def test_a_key_opens_only_its_models(base_url: str, stack: Stack) -> None:
    made = hum(stack, "key", "create", "--model", "gpt-*")
    with openai.OpenAI(base_url=f"{base_url}/v1", api_key=made["key"], max_retries=0) as client:
        assert list(client.models.list()) == []
        with pytest.raises(openai.PermissionDeniedError, match="does not open"):
            client.chat.completions.create(model="scout", messages=HI)


def test_what_makes_no_sense_is_refused_at_the_command_line(stack: Stack) -> None:
    for wrong in (
        ["--limit", "5 eur/day"], ["--expires", "soon"], ["--name", "x" * 65], ["--agent", "\x07"],
    ):  # fmt: skip
        hum(stack, "key", "create", *wrong, status=2)
    hum(stack, "key", "revoke", "nobody", status=1)


def test_keys_made_at_once_are_all_kept(stack: Stack) -> None:
    before = len(hum(stack, "key", "list")["keys"])
    command = [sys.executable, "-m", "hum", "key", "create", "--json"]
    makers = [
        subprocess.Popen(command, env={**os.environ, **stack.env}, stdout=subprocess.DEVNULL)
        for _ in range(4)
    ]
    assert [maker.wait(30) for maker in makers] == [0] * 4

    assert len(hum(stack, "key", "list")["keys"]) == before + 4
