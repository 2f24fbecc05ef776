"""`hum doctor` against real processes: what is dead, mute or in the way is named."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.support.stack import Stack

pytestmark = pytest.mark.process


@pytest.fixture
def stack(home: Path) -> Iterator[Stack]:
    with Stack(home) as stack:
        yield stack


def doctor(stack: Stack) -> tuple[int, dict[str, Any]]:
    """Exit status, and everything that was looked at by its name."""
    done = subprocess.run(
        [sys.executable, "-m", "hum", "doctor", "--json"],
        env=stack.env,
        capture_output=True,
        text=True,
        check=False,
    )
    told = orjson.loads(done.stdout)
    assert told["ok"] is (done.returncode == 0), done.stderr
    return done.returncode, {one["what"]: one for one in told["checks"]}


def test_a_real_hello_is_answered_and_on_disk(stack: Stack) -> None:
    """Features A23: not a look at a file."""
    status, found = doctor(stack)

    assert found["hello"]["ok"], found["hello"]
    assert found["runtime.json"]["ok"]
    assert (found["chain"]["ok"], found["clock"]["ok"]) == (True, True)
    assert not found["supervisord"]["ok"]  # nobody supervises these processes
    assert (status, found["supervisord"]["mend"]) == (1, "hum up")


@pytest.mark.parametrize("frozen", ["thehum", "humd", "thrumd"])
def test_a_process_that_is_frozen_makes_the_hello_fail(stack: Stack, frozen: str) -> None:
    """Features A23: everything is there, and nothing answers."""
    stack.send_signal(frozen, signal.SIGSTOP)

    status, found = doctor(stack)
    stack.send_signal(frozen, signal.SIGCONT)

    assert (status, found["hello"]["ok"]) == (1, False)
    assert "1 s" in found["hello"]["said"]


def test_what_a_killed_door_left_behind_is_named_and_not_dialled(stack: Stack) -> None:
    """Features A2, A23."""
    stack.kill("thrumd")
    link = stack.home / "run/hum/thrum.sock"
    assert link.is_symlink()

    status, found = doctor(stack)

    assert status == 1
    assert "stale" in found["runtime.json"]["said"]
    assert found["link"]["mend"] == f"rm {link}"
    assert "left behind" in found["hello"]["said"]


def test_a_socket_open_to_others_is_named(stack: Stack) -> None:
    stack.paths.thrum_socket.chmod(0o666)

    _, found = doctor(stack)

    assert found["socket"]["mend"] == f"chmod 600 {stack.paths.thrum_socket}"


def test_a_port_that_is_taken_is_named(home: Path) -> None:
    stack = Stack(home, ())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        stack.configure({"front": {"port": taken.getsockname()[1]}, "sidecar": {"port": 0}})

        _, found = doctor(stack)

    assert "taken" in found["ports"]["said"]
    assert str(os.getpid()) in found["ports"]["said"]
    assert "front.port" in found["ports"]["mend"]
