"""`hum thehum forget`, `body` and what `verify` says of bodies, with and without a daemon."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.support.stack import CORE, QUIET_SETTINGS, Stack

pytestmark = [pytest.mark.process, pytest.mark.timeout(60)]
CANARY = "the-canary-sings "
SETTINGS = {**QUIET_SETTINGS, "humd": {"metricsAddr": "", "thehum": {"sensitive": ["prompt"]}}}


@pytest.fixture
def stack() -> Iterator[Stack]:
    """A stack whose log has two conversations, both refused for want of a worker, and is down."""
    with Stack(services=CORE, settings=SETTINGS) as stack:
        with stack.client() as client:
            client.read_until("breath")
            for rid, sid, text in (("1", "s1", CANARY), ("2", "s2", "x" * 50_000), ("3", "s1", "")):
                client.send(chi="prompt", rid=rid, sid=sid, content=CANARY + text)
                client.read_until("echo", rid=rid)
        yield stack


def down(stack: Stack) -> None:
    for name in reversed(CORE):
        stack.kill(name, signal.SIGTERM)


def hum(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hum", "thehum", *arguments],
        env={**stack.env, "USER": "somebody", "LOGNAME": "somebody"},
        capture_output=True,
        text=True,
        check=False,
    )


def told(stack: Stack, *arguments: str) -> dict[str, Any]:
    done = hum(stack, *arguments, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    answer: dict[str, Any] = orjson.loads(done.stdout)
    return answer


def tail(stack: Stack, chi: str) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in
            hum(stack, "tail", "--chi", chi, "--json").stdout.splitlines()]  # fmt: skip


@pytest.mark.parametrize("is_up", [True, False], ids=["up", "down"])
def test_forgetting_erases_says_so_and_the_log_still_verifies(stack: Stack, is_up: bool) -> None:
    if not is_up:
        down(stack)

    answer = told(stack, "forget", "--sid", "s1", "--reason", "asked for it")
    verdict = told(stack, "verify", "--full")

    prompts = tail(stack, "prompt")
    (order,), (report,) = tail(stack, "forget"), tail(stack, "forgotten")
    assert (answer["bodies"], answer["whole"], answer["by"]) == (2, True, "somebody")
    assert answer["order"] == order["seq"]
    assert answer["inline_events"] == 2, "the errors that said that there is no worker"
    assert (order["body"]["by"], order["body"]["reason"]) == ("somebody", "asked for it")
    assert (report["body"]["order"], report["body"]["bodies"]) == (order["seq"], 2)
    assert verdict["ok"]
    assert (verdict["bodies"]["kept"], verdict["bodies"]["forgotten"]) == (1, 2)
    shown = [hum(stack, "body", str(event["seq"])) for event in prompts]
    assert [one.returncode for one in shown] == [1, 0, 1]
    assert orjson.loads(shown[1].stdout)["content"] == CANARY + "x" * 50_000
    assert "forgotten" in shown[0].stderr


def test_after_forgetting_offline_hum_goes_on_where_the_log_ends(stack: Stack) -> None:
    down(stack)
    answer = told(stack, "forget", "--sid", "s2")
    for name in CORE:
        stack.start(name)
    stack.wait_ready()

    again = told(stack, "forget", "--sid", "s2")

    assert (answer["bodies"], again["bodies"]) == (1, 0)
    assert again["order"] > answer["order"] + 1
    assert told(stack, "verify", "--full")["ok"]


def test_without_a_door_but_with_a_writer_it_is_refused_and_nothing_changes(stack: Stack) -> None:
    stack.kill("thrumd", signal.SIGTERM)
    before = hum(stack, "verify", "--json").stdout

    refused = hum(stack, "forget", "--sid", "s1")

    assert refused.returncode == 78
    assert "has a writer already" in refused.stderr
    assert "hum down" in refused.stderr.splitlines()[-1]
    assert orjson.loads(before)["bodies"] == told(stack, "verify")["bodies"]


def bodies_file(stack: Stack) -> Path:
    (path,) = (stack.paths.thehum / "bodies").glob("*.bodies")
    return path


def test_a_body_that_was_changed_is_named(stack: Stack) -> None:
    down(stack)
    path = bodies_file(stack)
    path.write_bytes(path.read_bytes().replace(b"x" * 50_000, b"y" * 50_000))
    (_, changed, _) = tail(stack, "prompt")

    verdict = hum(stack, "verify", "--json")
    plain = hum(stack, "verify")
    shown = hum(stack, "body", str(changed["seq"]))

    assert (verdict.returncode, plain.returncode, shown.returncode) == (1, 1, 1)
    assert orjson.loads(verdict.stdout)["bodies"]["changed"] == [changed["seq"]]
    assert f"not what was hashed: the bodies of events {changed['seq']}" in plain.stdout
    assert "not what was hashed" in shown.stderr


def test_a_body_that_is_gone_though_nobody_ordered_it_is_named(stack: Stack) -> None:
    down(stack)
    path = bodies_file(stack)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 100])

    verdict = hum(stack, "verify", "--json")

    assert verdict.returncode == 1
    assert orjson.loads(verdict.stdout)["bodies"]["lost"]


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["forget"], 2),
        (["forget", "--sid", ""], 2),
        (["forget", "--sid", "x" * 5_000], 2),
        (["body", "0"], 2),
        (["body", "99999"], 1),
    ],
)
def test_wrong_use_is_told_apart(home: Path, arguments: list[str], status: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hum", "thehum", *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == status
    assert "Traceback" not in done.stderr
