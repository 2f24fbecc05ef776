"""A log that holds back is told as such: `hum status` and readiness, with what mends it.

Questions that need nothing written are answered all the same (reliability F5, experience 5.10).
"""

import http.client
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.faults.rigs.small_disk import small_disk
from tests.faults.test_log_full import BODY_CHARS, DISK_BYTES, settings
from tests.support.stack import Stack

from hum.status import read_holding

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

READERS = (("asks",), ("asks", "--all"), ("cost",), ("drift",), ("penny",), ("bee",))
STORM = 64
SERVICES = ("thehum", "humd", "thrumd", "sidecar", "front")


def port_of(stack: Stack, name: str) -> int:
    """Where a service listens, as its own hello says, which is in the log."""
    said = (event["body"] for event in stack.events() if event["chi"] == "hello")
    return next(int(body["bind"]["port"]) for body in said if body.get("hive") == name)


def hum(stack: Stack, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-P", "-m", "hum", *words]
    return subprocess.run(command, env=stack.env, capture_output=True, text=True, check=False)


def holding(stack: Stack) -> dict[str, Any]:
    """What `hum status` says of the log."""
    return read_holding(stack.paths)


def readiness(stack: Stack) -> dict[str, tuple[int, str]]:
    """Status and body of /readyz, of the front and the sidecar."""
    found = {}
    for name in ("front", "sidecar"):
        link = http.client.HTTPConnection("127.0.0.1", port_of(stack, name), timeout=10)
        link.request("GET", "/readyz")
        answer = link.getresponse()
        found[name] = answer.status, answer.read().decode()
        link.close()
    return found


def expect_told(stack: Stack, state: str, why: str, mend: str) -> None:
    told = holding(stack)
    assert told["state"] == state, told
    assert why in told["why"]
    assert mend in told["mend"]
    assert told["since_ms"] > 0
    for name, (status, body) in readiness(stack).items():
        assert (name, status) == (name, 503), body
        assert why in body
        assert mend in body


def expect_well(stack: Stack) -> None:
    stack.wait_for(lambda: holding(stack)["state"] == "ok", "a log that takes what it is offered")
    stack.wait_for(
        lambda: {status for status, _ in readiness(stack).values()} == {200}, "readiness"
    )


def expect_read(stack: Stack) -> None:
    """Whoever only reads gets an answer."""
    for words in READERS:
        done = hum(stack, *words)
        assert done.returncode == 0, (words, done.stderr)


def silent(stack: Stack) -> None:
    """Even when nothing waits for it."""
    stack.send_signal("thehum", signal.SIGSTOP)

    expect_told(stack, "silent", "owes an answer", "hum ctl restart thehum")
    expect_read(stack)

    stack.send_signal("thehum", signal.SIGCONT)


def without_humd(stack: Stack) -> None:
    stack.send_signal("humd", signal.SIGSTOP)

    told = holding(stack)

    assert told["state"] == "unknown"
    assert "answer" in told["why"]
    assert "hum logs humd" in told["mend"]
    for words in (("asks",), ("cost",)):
        done = hum(stack, *words)
        assert done.returncode != 0, words
        assert "answer" in done.stderr
    stack.send_signal("humd", signal.SIGCONT)


def away(stack: Stack) -> None:
    stack.kill("thehum")

    stack.wait_for(lambda: holding(stack)["state"] == "away", "a log that is away")
    expect_told(stack, "away", "not connected", "hum logs thehum")

    stack.start("thehum")


def replaying(stack: Stack) -> None:
    for name in ("humd", "thehum"):
        stack.kill(name)
    stack.start("humd")
    stack.start("memory_log", "--endless")

    stack.wait_for(lambda: holding(stack)["state"] == "replaying", "a start that reads")
    stack.wait_for(
        lambda: all("humd reads the log" in said for _, said in readiness(stack).values()),
        "the reason",
    )

    expect_told(stack, "replaying", "event 1 of 1000000", "hum status")
    stack.configure({**settings(), "sidecar": {"port": port_of(stack, "sidecar")}})
    for words in (("asks",), ("cost",)):
        done = hum(stack, *words)
        assert done.returncode == 1, words
        assert "humd reads the log after its start" in done.stderr


def test_each_way_of_holding_back_is_told_with_what_mends_it(home: Path) -> None:
    with Stack(home, services=SERVICES, settings=settings()) as stack:
        for name in ("sidecar", "front"):
            stack.wait_bee(name)
        for fault in (silent, without_humd, away):
            expect_well(stack)
            fault(stack)
        expect_well(stack)
        replaying(stack)


def test_a_full_disk_is_told_with_its_place(home: Path) -> None:
    with (
        Stack(home, services=(), settings=settings()) as stack,
        small_disk(stack.paths.thehum, DISK_BYTES) as disk,
    ):
        for name in SERVICES:
            stack.start(name)
        stack.wait_ready()
        for name in ("sidecar", "front"):
            stack.wait_bee(name)
        disk.fill()
        with stack.client() as client:
            for number in range(STORM):
                client.send(chi="perf-mark", rid=f"r{number}", mark="x" * BODY_CHARS)
            stack.wait_for(lambda: "log.full" in stack.log("humd"), "a full log")

            expect_told(stack, "full", "no room", f"df -h {stack.paths.thehum}")
            expect_read(stack)

            disk.relieve()
            expect_well(stack)
        stack.close()
