"""Large bodies and forgetting, through every process from the door to the disk (features C5)."""

import signal
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from tests.support.ndjson import Client
from tests.support.stack import CORE, QUIET_SETTINGS, Stack

from thehum.core.names import segment_seq
from thehum.core.sealed import unpack

pytestmark = [pytest.mark.process, pytest.mark.timeout(60)]
CANARY = "the-canary-sings "
PICTURE = CANARY * 600_000
"""About ten megabytes."""


def settings(**thehum: Any) -> dict[str, Any]:
    return {**QUIET_SETTINGS, "humd": {"metricsAddr": "", "thehum": thehum}}


@pytest.fixture
def stack() -> Iterator[Stack]:
    with Stack() as made:
        yield made


def events(stack: Stack) -> list[dict[str, Any]]:
    """Every event in the log's files."""
    folder = stack.paths.thehum
    firsts = sorted(path for path in folder.iterdir() if segment_seq(path.name) is not None)
    lines = (line for path in firsts for line in unpack(path.read_bytes())[0].splitlines())
    return [orjson.loads(line) for line in lines if line.startswith(b"{")]


def held(stack: Stack, text: str) -> bool:
    """Whether any file of the log has this text in it."""
    files = (path for path in stack.paths.thehum.rglob("*") if path.is_file())
    return any(text.encode() in path.read_bytes() for path in files)


def say_hello(client: Client, **fields: Any) -> None:
    client.read_until("breath")
    client.send(chi="hello", rid="h1", **fields)
    client.read_until("breath")


def worker(client: Client) -> None:
    say_hello(client, hive="w", bee=["worker"], models=["m"], hid="wbee_" + "1" * 64)


def ask(client: Client, sid: str, content: str) -> None:
    client.send(chi="prompt", rid=f"p-{sid}", sid=sid, modelId="m", content=content)
    assert client.read_until("echo", rid=f"p-{sid}")["ok"]


def test_a_picture_adds_less_than_two_kilobytes_to_the_log_and_arrives_whole(stack: Stack) -> None:
    with stack.client() as served, stack.client() as asker:
        worker(served)
        say_hello(asker)
        before = events(stack)

        ask(asker, "s1", PICTURE)
        heard = served.read_until("prompt")

    (added,) = [event for event in events(stack) if event["chi"] == "prompt"]
    assert heard["content"] == PICTURE
    assert len(orjson.dumps(added)) < 2_000
    assert added["body"]["@body"]["bytes"] > 10_000_000
    assert before


def test_a_worker_that_was_away_when_humd_died_still_gets_the_whole_body(stack: Stack) -> None:
    """What waits for a bee is replayed from the log, body and all."""
    with stack.client() as served, stack.client() as asker:
        worker(served)
        say_hello(asker)
        ask(asker, "s1", "short")
        served.read_until("prompt")
        ask(asker, "s1", PICTURE)  # waits for the turn before it
        stack.kill("humd", signal.SIGKILL)
        stack.start("humd")
        stack.wait_ready()

        served.send(chi="finish", rid="f1", sid="s1", finishReason="end_turn")
        heard = served.read_until("prompt")

    assert heard["content"] == PICTURE


def test_forgetting_through_the_door_is_in_the_log_with_what_came_of_it(stack: Stack) -> None:
    with stack.client() as served, stack.client() as asker, stack.client() as owner:
        worker(served)
        say_hello(asker)
        say_hello(owner)
        ask(asker, "s1", CANARY * 10_000)
        served.read_until("prompt")
        owner.send(chi="forget", rid="x1", sid="s1", by="somebody")
        refused = owner.read_until("echo", rid="x1")
        served.send(chi="finish", rid="f1", sid="s1", finishReason="end_turn")
        served.read_until("echo", rid="f1")

        owner.send(chi="forget", rid="x2", sid="s1", by="somebody", reason="asked for it")
        done = owner.read_until("echo", rid="x2")
        owner.send(chi="forgotten", rid="x3", sid="s1", order=1)
        forged = owner.read_until("echo", rid="x3")
        stack.wait_for(
            lambda: any(event["chi"] == "forgotten" for event in events(stack)), "report"
        )

    assert (refused["ok"], done["ok"], forged["ok"]) == (False, True, False)
    assert not held(stack, CANARY)
    (order,) = [event for event in events(stack) if event["chi"] == "forget"]
    (report,) = [event for event in events(stack) if event["chi"] == "forgotten"]
    assert (order["sid"], order["body"]["by"]) == ("s1", "somebody")
    assert order["body"]["@via"]["client"] is not None
    assert report["sid"] == "s1"
    assert (report["body"]["order"], report["body"]["bodies"]) == (order["seq"], 1)
    assert report["body"]["@via"]["client"] is None, "nobody can say so but the log"


def test_humd_replays_a_log_whose_bodies_are_forgotten(stack: Stack) -> None:
    with stack.client() as served, stack.client() as asker:
        worker(served)
        say_hello(asker)
        ask(asker, "s1", CANARY * 10_000)
        served.read_until("prompt")
        served.send(chi="finish", rid="f1", sid="s1", finishReason="end_turn")
        served.read_until("echo", rid="f1")
        asker.send(chi="forget", rid="x2", sid="s1")
        assert asker.read_until("echo", rid="x2")["ok"]
        stack.wait_for(lambda: not held(stack, CANARY), "erasure")
        stack.kill("humd", signal.SIGKILL)
        stack.start("humd")
        stack.wait_ready()

        ask(asker, "s1", "again")
        heard = served.read_until("prompt")

    assert heard["content"] == "again"


def test_sensitive_redacted_and_excluded_kinds_leave_what_they_should() -> None:
    rules = settings(sensitive=["prompt"], redact=["finish"], exclude=["echo", "log", "perf-mark"])
    with Stack(services=CORE, settings=rules) as stack:
        with stack.client() as served, stack.client() as asker:
            worker(served)
            say_hello(asker)
            ask(asker, "s1", CANARY)
            served.read_until("prompt")
            served.send(chi="perf-mark", rid="m1", sid="s1", mark="first-token")
            served.send(chi="chunk", rid="c1", sid="s1", chunkType="text_delta", delta="hi")
            served.send(chi="finish", rid="f1", sid="s1", finishReason="end_turn", note=CANARY)
            heard = [asker.read_until(chi)["chi"] for chi in ("perf-mark", "chunk", "finish")]
            marked = served.read_until("echo", rid="m1")
        logged = {event["chi"]: event["body"] for event in events(stack) if event["sid"] == "s1"}

    assert heard == ["perf-mark", "chunk", "finish"]
    assert marked["ok"]
    assert logged.keys() == {"prompt", "chunk", "finish"}
    assert "@body" in logged["prompt"]
    assert logged["finish"]["@redacted"]["bytes"] > 0
    assert logged["finish"]["finishReason"] == "end_turn"
    assert "note" not in logged["finish"]


def test_secrets_of_this_hum_and_named_ones_are_not_in_the_log(stack: Stack) -> None:
    """`reliability I8`."""
    stack.kill("thehum", signal.SIGTERM)
    key = stack.paths.worker_key("openai")
    key.parent.mkdir(mode=0o700, exist_ok=True)
    key.write_text("sk-canary-of-the-worker\n")
    key.chmod(0o600)
    stack.start("thehum")
    stack.wait_ready()
    with stack.client() as served, stack.client() as asker:
        worker(served)
        say_hello(asker)
        ask(asker, "s1", "my key is sk-canary-of-the-worker, do not tell")
        heard = served.read_until("prompt")["content"]
        served.send(chi="tool-call", rid="t1", sid="s1", callId="c1", toolName="x",
                    args={"password": "canary-of-a-person", "n": 1})  # fmt: skip
        served.read_until("echo", rid="t1")

    assert heard == "my key is sk-canary-of-the-worker, do not tell", "who is asked gets it"
    assert not held(stack, "canary")
