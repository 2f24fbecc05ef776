"""Crowds at the door, and one client among them whose patience is measured.

Each is a context in which the crowd is there; leaving ends it. `Healthy` is any other client: it
says something that is logged, waits for the echo, and says the next thing.
"""

import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psutil
from tests.support.bees import identity_named
from tests.support.ndjson import Client
from tests.support.stack import Stack

SERVICES = ("thehum", "humd", "thrumd")
SPARE_DESCRIPTORS = 256
HALF_A_LINE = b'{"chi":"prompt","sid":"half","content":"'


def may_open(count: int) -> bool:
    """Whether this process may have so many connections; raises its own limit as far as it goes."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = count + SPARE_DESCRIPTORS
    if hard != resource.RLIM_INFINITY and hard < wanted:
        return False
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    return True


class Healthy:
    """One client that behaves."""

    def __init__(self, stack: Stack, name: str = "healthy") -> None:
        self.client = Client(stack.paths.thrum_socket, reply_seconds=30)
        self._count = 0
        hid = str(identity_named(name, prefix="fbee").hid)
        self.client.send(chi="hello", rid="hello", hid=hid, hive=name, bee=["asker"])
        assert self.client.read_until("echo", rid="hello")["ok"] is True

    def say(self, times: int) -> list[float]:
        """Say so much, one after the other; how many ms each took until it was on disk."""
        took = []
        for _ in range(times):
            self._count += 1
            began = time.monotonic()
            self.client.send(chi="perf-mark", rid=f"r-{self._count}", mark="m")
            assert self.client.read_until("echo", rid=f"r-{self._count}")["ok"] is True
            took.append((time.monotonic() - began) * 1000)
        return took

    def close(self) -> None:
        self.client.__exit__(None, None, None)


@contextmanager
def healthy(stack: Stack) -> Iterator[Healthy]:
    one = Healthy(stack)
    try:
        yield one
    finally:
        one.close()


@contextmanager
def connections(stack: Stack, count: int) -> Iterator[list[Client]]:
    """So many clients that said hello and were answered; they stay."""
    with ExitStack() as there:
        clients = [there.enter_context(stack.client(reply_seconds=60)) for _ in range(count)]
        for number, client in enumerate(clients):
            client.send(chi="hello", rid=f"h-{number}", hive=f"crowd-{number}", bee=["asker"])
        for number, client in enumerate(clients):
            assert client.read_until("echo", rid=f"h-{number}")["ok"] is True
        yield clients


@contextmanager
def half_open(stack: Stack, count: int) -> Iterator[None]:
    """So many connections that began a line and closed their writing side, or say no more."""
    with ExitStack() as there:
        for number in range(count):
            one = there.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            one.connect(str(stack.paths.thrum_socket))
            one.sendall(HALF_A_LINE)
            if number % 2:
                one.shutdown(socket.SHUT_WR)
        yield


@contextmanager
def garbage(stack: Stack, lines: int) -> Iterator["subprocess.Popen[bytes]"]:
    """A client, a process of its own, that is sending so many lines none of which is a tone."""
    command = [sys.executable, "-m", "tests.support.garbage"]
    place = str(stack.paths.thrum_socket)
    with subprocess.Popen(
        [*command, place, str(lines)], env=stack.env, stdout=subprocess.PIPE
    ) as sender:
        assert sender.stdout is not None
        assert sender.stdout.readline() == b"sending\n"
        try:
            yield sender
        finally:
            if sender.poll() is None:
                sender.kill()


def rss(stack: Stack) -> dict[str, int]:
    """Resident bytes of each service."""
    return {name: psutil.Process(stack.pid(name)).memory_info().rss for name in SERVICES}
