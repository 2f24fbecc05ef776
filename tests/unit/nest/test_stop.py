"""The flag that ends a process, seen from a poll loop and from tasks."""

import select
from collections.abc import Iterator

import anyio
import pytest

from nest.stop import Stop


@pytest.fixture
def stop() -> Iterator[Stop]:
    stop = Stop()
    yield stop
    stop.close()


def is_readable(descriptor: int) -> bool:
    return bool(select.select([descriptor], [], [], 0)[0])


def test_a_poll_loop_is_woken_by_the_first_request_and_stays_awake(stop: Stop) -> None:
    before = is_readable(stop.descriptor)

    stop.request("SIGTERM")
    stop.request("SIGINT")

    assert not before
    assert stop.requested
    assert stop.reason == "SIGTERM"
    assert is_readable(stop.descriptor)
    assert is_readable(stop.descriptor)


async def test_every_waiting_task_is_woken(stop: Stop) -> None:
    woken: list[int] = []

    async def wait(number: int) -> None:
        await stop.wait()
        woken.append(number)

    async with anyio.create_task_group() as tasks:
        for number in range(3):
            tasks.start_soon(wait, number)
        await anyio.lowlevel.checkpoint()
        stop.request("test")

    assert sorted(woken) == [0, 1, 2]


async def test_waiting_after_the_request_returns(stop: Stop) -> None:
    stop.request("test")

    await stop.wait()
    await stop.wait()

    assert stop.requested
