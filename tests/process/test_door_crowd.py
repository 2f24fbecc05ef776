"""Many clients at once, and none of them lost (reliability M5, L5, F11)."""

import resource
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import pytest
from tests.support.stack import Stack

from nest.sockets import BACKLOG
from thrumd.core.inbound import NAME_CHARS_MAX
from thrumd.core.outbox import HARD_FACTOR, LINES_MAX

pytestmark = pytest.mark.process

CROWD = 1_000
BURST, MORE, RATE = 100, 20, 40
KEPT_BYTES = 8 * 1024 * 1024
"""Half of what waited."""


@pytest.fixture
def stack(home: Path) -> Iterator[Stack]:
    with Stack(home, services=()) as stack:
        yield stack


def hears_a_breath(stack: Stack) -> bool:
    try:
        with stack.client(reply_seconds=1) as probe:
            return bool(probe.read()["chi"] == "breath")
    except (OSError, EOFError):
        return False


def backlog() -> int:
    """How many connections the system lets wait; the door asks for more than it may get."""
    return min(int(Path("/proc/sys/net/core/somaxconn").read_text()), BACKLOG) - 1


def start(stack: Stack, *arguments: str) -> None:
    stack.start("thrumd", *arguments)
    stack.wait_for(lambda: hears_a_breath(stack), "breath")


def test_a_storm_of_connections_is_served_to_the_last(stack: Stack) -> None:
    """Reliability L5, with the accept rate raised: they all come while the door does nothing."""
    start(stack, "--accepts-per-second", "100000")
    stack.send_signal("thrumd", signal.SIGSTOP)

    with ExitStack() as crowd:
        clients = [crowd.enter_context(stack.client()) for _ in range(min(CROWD, backlog()))]
        stack.send_signal("thrumd", signal.SIGCONT)
        assert {client.read()["chi"] for client in clients} == {"breath"}
        clients[0].send(chi="unknown", rid="r")
        assert clients[0].read() == {"chi": "echo", "rid": "r", "ok": True}


def test_what_comes_faster_than_the_rate_waits_and_is_not_refused(stack: Stack) -> None:
    """Features A10: a burst at once, and the rest no faster than the rate."""
    start(stack, "--accepts-per-second", f"{RATE}")
    began = time.monotonic()

    with ExitStack() as crowd:
        clients = [crowd.enter_context(stack.client()) for _ in range(BURST + MORE)]
        assert {client.read()["chi"] for client in clients} == {"breath"}

    assert time.monotonic() - began >= MORE / RATE


def test_without_descriptors_the_door_lets_clients_in_again_once_some_leave(stack: Stack) -> None:
    """Reliability F11: the accept loop neither ends nor spins."""
    start(stack)
    process = psutil.Process(stack.pid("thrumd"))
    bound = process.num_fds() + 5
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (bound, bound))

    with ExitStack() as crowd:
        clients = [crowd.enter_context(stack.client()) for _ in range(20)]
        stack.wait_for(lambda: "door.cannot_accept" in stack.log("thrumd"), "lack of descriptors")
        assert clients[0].read()["chi"] == "breath"

    stack.wait_for(lambda: hears_a_breath(stack), "breath after the lack")


def test_who_reads_none_of_its_replies_is_cut_and_its_memory_given_back(stack: Stack) -> None:
    """Four thousand long echoes wait for it; nothing of them is kept once it is gone."""
    start(stack)
    process = psutil.Process(stack.pid("thrumd"))
    before = process.memory_info().rss

    with stack.client() as client, suppress(OSError):  # cut while it still sends
        for _ in range(LINES_MAX * HARD_FACTOR * 2):
            client.send(chi="nonesuch", rid="r" * NAME_CHARS_MAX)

    assert "slow-reader" in stack.log("thrumd")
    stack.wait_for(lambda: process.memory_info().rss < before + KEPT_BYTES, "memory given back")
    assert "traceback" not in stack.log("thrumd")


@pytest.mark.parametrize("rate", ["0", "nan", "many"])
def test_a_rate_that_is_none_is_a_usage_error(stack: Stack, rate: str) -> None:
    stack.start("thrumd", "--accepts-per-second", rate)

    assert stack.wait_exit("thrumd") == 2
