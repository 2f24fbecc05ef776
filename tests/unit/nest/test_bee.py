"""Queues of tones and the body of a hello; `tests/process/test_bus_bee.py` has the rest."""

import anyio
import pytest

from nest.bee import Hello, StreamOverflow, Tones
from thrum.tones import Tone


def tone(number: int) -> Tone:
    return Tone(chi="chunk", body={"n": number})


def filled(count: int, *, tones_max: int = 10) -> Tones:
    tones = Tones(tones_max)
    for number in range(count):
        tones.put(tone(number))
    return tones


def ns(tones: list[Tone]) -> list[int]:
    return [one.body["n"] for one in tones]


async def test_take_gives_everything_that_waits_in_order() -> None:
    assert ns(await filled(3).take()) == [0, 1, 2]


async def test_take_waits_for_the_first_tone() -> None:
    tones, taken = Tones(10), list[Tone]()

    async def read() -> None:
        taken.extend(await tones.take())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await anyio.lowlevel.checkpoint()
        tones.put(tone(7))

    assert ns(taken) == [7]


async def test_a_loop_that_is_left_takes_no_more_than_it_was_given() -> None:
    tones = Tones(10)
    async with anyio.create_task_group() as tasks:

        async def read_one() -> None:
            async for first in tones:
                assert first.body["n"] == 0
                break

        tasks.start_soon(read_one)
        await anyio.lowlevel.checkpoint()
        for number in range(3):
            tones.put(tone(number))

    assert ns(await tones.take()) == [1, 2]


async def test_a_reader_that_is_cancelled_while_it_waits_loses_nothing() -> None:
    tones = Tones(10)
    with anyio.move_on_after(0):
        await tones.take()

    tones.put(tone(1))

    assert ns(await tones.take()) == [1]


async def test_an_overflow_comes_after_what_was_queued() -> None:
    tones = filled(3, tones_max=2)

    assert ns(await tones.take()) == [0, 1]
    with pytest.raises(StreamOverflow):
        await tones.take()


async def test_a_loop_ends_with_the_overflow() -> None:
    seen = 0

    async def read() -> None:
        nonlocal seen
        async for one in filled(3, tones_max=2):
            assert one.body["n"] == seen
            seen += 1

    with pytest.raises(StreamOverflow):
        await read()
    assert seen == 2


def test_a_hello_names_its_roles_tools_and_version() -> None:
    hello = Hello(roles=("forager",), hive="front", version="1", tools=({"name": "t"},))

    body = hello.body("fbee_x")

    assert body["bee"] == ["forager"]
    assert body["toolNames"] == ["t"]
    assert (body["hive"], body["from"], body["protoVersion"]) == ("front", "fbee_x", "0.7.0")


def test_a_hello_leaves_out_what_it_does_not_offer() -> None:
    body = Hello(roles=("asker",), hive="x").body("fbee_x")

    assert not {"models", "tools", "toolNames", "provides", "bind"} & body.keys()
