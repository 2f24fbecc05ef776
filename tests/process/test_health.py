"""`humctl health` against real processes (features A25)."""

import signal
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from tests.support.stack import Stack

pytestmark = pytest.mark.process

HUMCTL = "from hum.__main__ import humctl; humctl()"


def health(stack: Stack, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-P", "-c", HUMCTL, "health", *words]
    return subprocess.run(command, env=stack.env, capture_output=True, text=True, check=False)


def test_it_is_well_only_while_a_hello_is_answered_and_on_disk(home: Path) -> None:
    with Stack(home) as stack:
        stack.wait_for(lambda: health(stack).returncode == 0, "a sign of life")
        said = [event for event in stack.events() if event["sid"] == "humctl-health"]
        assert said[0]["chi"] == "hello"
        for frozen in ("thehum", "humd", "thrumd"):
            stack.send_signal(frozen, signal.SIGSTOP)

            unwell = health(stack, "--json")

            assert (unwell.returncode, unwell.stdout) == (1, ""), frozen
            assert "not on disk" in unwell.stderr
            stack.send_signal(frozen, signal.SIGCONT)
        stack.wait_for(lambda: health(stack).returncode == 0, "a sign of life again")
        stack.kill("thrumd")
        absent = health(stack)

        assert (absent.returncode, "hum up" in absent.stderr) == (69, True)


def test_it_says_how_long_it_took_and_which_wire_it_speaks(home: Path) -> None:
    with Stack(home) as stack:
        told: dict[str, object] = {}

        def is_well() -> bool:
            done = health(stack, "--json")
            if done.returncode == 0:
                told.update(orjson.loads(done.stdout))
            return done.returncode == 0

        stack.wait_for(is_well, "a sign of life")

    assert told["live"] is True
    assert told["thrum"] == "0.7.0"
    assert told["door"] == str(stack.paths.thrum_socket)
