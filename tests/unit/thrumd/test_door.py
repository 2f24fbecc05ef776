"""The door between its clients and a bee, without sockets: transports and bee are fakes."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import anyio
import orjson
import pytest
from tests.support.door import FakeBee, FakeTransport

from nest.link import Joined, Settled
from nest.metrics import Registry
from thrum.tones import Tone
from thrumd.core.inbound import LOG_BYTES_MAX
from thrumd.core.outbox import FULL_SECONDS_MAX, HARD_FACTOR, LINES_MAX
from thrumd.core.receipts import BYTES_MAX
from thrumd.core.waiting import WAITING_BYTES_MAX
from thrumd.edge import connection as edge
from thrumd.edge import door as doors
from thrumd.edge.connection import Connection
from thrumd.edge.door import Door

LINE_MAX = 100_000


class Rig:
    """A door, a bee that only records, and clients whose transports only record."""

    def __init__(self) -> None:
        self.metrics = Registry()
        self.door = Door(self.metrics, nest="claude-cli", line_bytes_max=LINE_MAX)
        self.bee = FakeBee()
        self.door.bee = cast("Any", self.bee)

    def client(self) -> tuple[Connection, FakeTransport]:
        connection, transport = self.door.connection(), FakeTransport()
        transport.protocol = connection
        connection.connection_made(cast("Any", transport))
        assert transport.read()[0]["chi"] == "breath"
        return connection, transport

    def settle(self, upto: int, refused: dict[int, str] | None = None) -> None:
        self.bee.settle(upto)
        self.door.settled(Settled(upto, refused or {}))

    async def deliver(self, *tones: Tone) -> None:
        for tone in tones:
            self.bee.inbox.put(tone)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.door.receive)
            await self.bee.inbox.emptied()
            tasks.cancel_scope.cancel()

    def count(self, name: str, **labels: str) -> float:
        metric = next(found for found in self.metrics.snapshot() if found["name"] == name)
        samples = cast("list[dict[str, Any]]", metric["samples"])
        wanted = labels.items()
        values = [sample["value"] for sample in samples if wanted <= sample["labels"].items()]
        return float(sum(values))


async def until(holds: Callable[[], bool]) -> None:
    """Let the loop run until something holds."""
    with anyio.fail_after(20):
        while not holds():  # noqa: ASYNC110 - what is awaited is a timer of the door itself
            await asyncio.sleep(0)


@pytest.fixture
async def rig() -> Rig:
    return Rig()


def line(**flat: object) -> bytes:
    return orjson.dumps(flat) + b"\n"


async def test_a_tone_goes_to_humd_with_its_client_beside_it(rig: Rig) -> None:
    client, _ = rig.client()

    client.data_received(line(chi="prompt", sid="s", client="forged", seq=9))

    (tone,) = rig.bee.posted
    assert (tone.client, tone.seq) == (client.client, 0)
    assert tone.body == {"client": "forged", "seq": 9}


async def test_an_echo_comes_when_the_tone_is_settled_and_not_before(rig: Rig) -> None:
    client, transport = rig.client()
    other, other_transport = rig.client()

    tones = line(chi="prompt", rid="a") + line(chi="prompt") + line(chi="cancel", rid="b")
    client.data_received(tones)
    other.data_received(line(chi="prompt", rid="c"))

    assert transport.read() == []
    rig.settle(3, {3: "hearOnly.denied"})
    assert transport.read() == [
        {"chi": "echo", "rid": "a", "ok": True},
        {"chi": "echo", "rid": "b", "ok": False, "error": "hearOnly.denied"},
    ]
    assert other_transport.read() == []
    rig.door.joined(Joined("epoch", "client", "humd", 4, True))
    assert other_transport.read() == [{"chi": "echo", "rid": "c", "ok": True}]


async def test_clients_of_a_door_that_humd_gave_up_must_come_back(rig: Rig) -> None:
    early, early_transport = rig.client()
    early.data_received(line(chi="hello"))

    rig.door.joined(Joined("epoch", "client", "humd", 0, False))
    assert not early_transport.is_closing()
    rig.door.joined(Joined("epoch", "client", "humd", 0, True))
    assert not early_transport.is_closing()
    _, stranger_transport = rig.client()
    rig.door.joined(Joined("epoch", "client", "humd", 0, False))

    assert early_transport.is_closing()
    assert not stranger_transport.is_closing()


async def test_what_is_never_logged_is_echoed_at_once(rig: Rig) -> None:
    client, transport = rig.client()

    client.data_received(line(chi="backfill", rid="a"))
    rig.bee.is_connected = False
    client.data_received(line(chi="backfill", rid="b"))

    assert [(echo["rid"], echo["ok"]) for echo in transport.read()] == [("a", True), ("b", False)]


async def test_without_room_nothing_more_is_read_until_there_is_some(rig: Rig) -> None:
    client, transport = rig.client()
    rig.bee.room = 1

    client.data_received(b"".join(line(chi="prompt", n=n) for n in (1, 2, 3)))

    assert [tone.body["n"] for tone in rig.bee.posted] == [1]
    assert not transport.is_reading
    rig.bee.room = 10
    rig.settle(1)
    assert [tone.body["n"] for tone in rig.bee.posted] == [1, 2, 3]
    assert transport.is_reading


async def test_bytes_on_their_way_to_humd_are_bounded(rig: Rig) -> None:
    client, transport = rig.client()
    lump = line(chi="prompt", content="x" * (LINE_MAX - 100))

    for _ in range(BYTES_MAX // len(lump) + 3):
        client.data_received(lump)

    assert sum(len(tone.body["content"]) for tone in rig.bee.posted) < BYTES_MAX + LINE_MAX
    assert not transport.is_reading


async def test_one_chatty_client_gives_others_their_turn(rig: Rig) -> None:
    client, _ = rig.client()
    other, _ = rig.client()

    client.data_received(line(chi="prompt", who="chatty") * 10_000)
    other.data_received(line(chi="prompt", who="other"))

    position = [tone.body["who"] for tone in rig.bee.posted].index("other")
    assert position == edge.LINES_PER_TURN
    for _ in range(10_000 // edge.LINES_PER_TURN + 1):
        await asyncio.sleep(0)
    assert len(rig.bee.posted) == 10_001


async def test_garbage_is_counted_by_reason(rig: Rig) -> None:
    client, transport = rig.client()

    client.data_received(b"x\n[]\n" + line(chi="echo") + line(chi="prompt", dusk=1) + line(chi="?"))

    counts = {
        reason: rig.count("hum_door_dropped_total", reason=reason)
        for reason in ("malformed", "receipt", "past-dusk", "unknown-chi")
    }
    assert counts == {"malformed": 2, "receipt": 1, "past-dusk": 1, "unknown-chi": 1}
    assert rig.bee.posted == []
    assert transport.read() == []


async def test_one_turn_is_bounded_in_bytes_too(rig: Rig) -> None:
    client, _ = rig.client()
    lump = line(chi="prompt", content="x" * (edge.BYTES_PER_TURN // 4))

    client.data_received(lump * 10)

    assert len(rig.bee.posted) == 4


async def test_a_client_whose_lines_lead_nowhere_is_paced_and_nothing_of_it_is_lost(
    rig: Rig,
) -> None:
    client, transport = rig.client()
    noise = int(edge.NOISE_BURST) * 3

    client.data_received(b'{"chi":\n[]\n \n' * (noise // 3) + line(chi="prompt", who="noisy"))
    for _ in range(noise // edge.LINES_PER_TURN + 2):
        await asyncio.sleep(0)

    assert rig.bee.posted == []
    assert not transport.is_reading
    assert rig.count("hum_door_paced_total") >= 1
    modest, _ = rig.client()
    modest.data_received(b"[]\n" + line(chi="prompt", who="modest"))
    assert [tone.body["who"] for tone in rig.bee.posted] == ["modest"]
    await until(lambda: len(rig.bee.posted) == 2)
    assert rig.count("hum_door_paced_total") > noise // edge.LINES_PER_TURN // 2
    await until(lambda: transport.is_reading)


async def test_noisy_clients_share_one_pace_in_turn(rig: Rig) -> None:
    noisy = [rig.client()[0] for _ in range(3)]
    for number, client in enumerate(noisy):
        lines = [b"{}\n"] * edge.LINES_PER_TURN * 20
        client.data_received(b"".join([*lines, line(chi="prompt", who=number)] * 2))

    await until(lambda: len(rig.bee.posted) == 6)

    heard = [tone.body["who"] for tone in rig.bee.posted]
    assert {*heard[:3]} == {*heard[3:]} == {0, 1, 2}  # nobody twice before everybody once


async def test_many_who_are_a_little_noisy_are_paced_as_one_who_is_very(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(doors, "NOISE_PER_SECOND", 0.001)
    rig = Rig()
    modest = int(edge.NOISE_BURST) // 2
    many = [rig.client() for _ in range(int(doors.NOISE_BURST) // modest + 1)]

    for client, _ in many:
        client.data_received(b"{}\n" * modest)
        for _ in range(modest // edge.LINES_PER_TURN + 1):
            await asyncio.sleep(0)

    assert [transport.is_reading for _, transport in many] == [True] * (len(many) - 1) + [False]
    assert rig.count("hum_door_paced_total") > 0


async def test_a_paced_client_may_leave_and_a_closing_door_reads_nothing_of_it(rig: Rig) -> None:
    (gone, _), (stays, transport) = rig.client(), rig.client()
    for client in (gone, stays):
        client.data_received(b"{}\n" * int(edge.NOISE_BURST) * 2)

    await until(lambda: rig.count("hum_door_paced_total") == 2)
    gone.connection_lost(None)
    rig.door.stop()
    served = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(doors.PACED_SECONDS * 10, served.set_result, None)
    await served

    assert rig.bee.posted == []
    assert not transport.is_reading


async def test_what_a_client_says_for_the_log_goes_on_unanswered_and_within_a_rate(
    rig: Rig,
) -> None:
    client, transport = rig.client()

    client.data_received(line(chi="log", rid="r", level="info", event="e") * 200)
    for _ in range(200 // edge.LINES_PER_TURN + 1):
        await asyncio.sleep(0)
    client.data_received(line(chi="log", rid="r", message="x" * LOG_BYTES_MAX))

    went_on = len(rig.bee.unlogged)
    assert edge.LOGS_BURST <= went_on < 200
    assert rig.bee.unlogged[0].client == client.client
    assert transport.read() == []
    assert rig.count("hum_door_dropped_total", reason="talk") == 201 - went_on


async def test_a_line_too_long_is_answered_once_and_the_next_is_taken(rig: Rig) -> None:
    client, transport = rig.client()

    for _ in range(3):
        client.data_received(b"x" * LINE_MAX)
    client.data_received(b"\n" + line(chi="prompt"))

    assert [answer["qualifier"] for answer in transport.read()] == ["frame.too-large"]
    assert len(rig.bee.posted) == 1


async def test_unfinished_lines_of_all_clients_have_one_bound(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doors, "UNFINISHED_BYTES_MAX", 200_000)
    hogs = [rig.client() for _ in range(4)]

    for client, _ in hogs:
        client.data_received(b'{"chi":"prompt","x":"' + b"x" * 90_000)
    modest, modest_transport = rig.client()
    modest.data_received(b'{"chi":"pro')
    modest.data_received(b'mpt"}\n')

    answers = [transport.read() for _, transport in hogs]
    assert [bool(found) for found in answers] == [False, False, True, True]
    assert len(rig.bee.posted) == 1
    assert modest_transport.read() == []
    for client, _ in hogs:
        client.connection_lost(None)
    late, late_transport = rig.client()
    late.data_received(b"x" * 90_000)
    assert late_transport.read() == []


async def test_an_unfinished_line_has_a_deadline_while_we_read(rig: Rig) -> None:
    """Reliability L7."""
    client, transport = rig.client()
    client.data_received(b'{"chi":')
    idle, idle_transport = rig.client()
    idle.data_received(line(chi="prompt"))
    now = asyncio.get_running_loop().time()

    rig.door.sweep(now + edge.LINE_SECONDS_MAX - 1)
    assert not transport.is_closing()
    rig.door.sweep(now + edge.LINE_SECONDS_MAX + 1)

    assert transport.is_closing()
    assert not idle_transport.is_closing()
    assert rig.count("hum_door_cut_total", reason="unfinished-line") == 1


async def test_a_line_that_waits_for_us_has_no_deadline(rig: Rig) -> None:
    client, transport = rig.client()
    rig.bee.room = 0

    client.data_received(line(chi="prompt") + b'{"chi":')
    rig.door.sweep(asyncio.get_running_loop().time() + 10 * edge.LINE_SECONDS_MAX)

    assert not transport.is_closing()


async def test_humd_hears_of_the_end_of_a_client_it_knows(rig: Rig) -> None:
    known, _ = rig.client()
    stranger, _ = rig.client()
    known.data_received(line(chi="hello"))

    known.connection_lost(None)
    stranger.connection_lost(ConnectionResetError())

    _, retract = rig.bee.posted
    assert (retract.chi, retract.client) == ("bee-retract", known.client)
    assert retract.body == {"scope": "client", "reason": "disconnect"}
    assert rig.count("hum_door_clients") == 0


async def test_a_retract_waits_for_room_and_is_not_lost(rig: Rig) -> None:
    client, _ = rig.client()
    rig.bee.room = 1
    client.data_received(line(chi="hello"))

    client.connection_lost(None)

    assert len(rig.bee.posted) == 1
    rig.bee.room = 5
    rig.settle(1)
    assert rig.bee.posted[-1].chi == "bee-retract"


async def test_a_half_closed_client_is_served_while_something_comes(rig: Rig) -> None:
    client, transport = rig.client()
    client.data_received(line(chi="prompt"))
    start = asyncio.get_running_loop().time()

    assert client.eof_received() is True
    await rig.deliver(Tone(chi="finish", client=client.client))
    rig.door.sweep(start + edge.HALF_CLOSED_SECONDS_MAX - 1)

    assert transport.read() == [{"chi": "finish"}]
    assert not transport.is_closing()
    rig.door.sweep(start + edge.HALF_CLOSED_SECONDS_MAX + 5)
    assert transport.is_closing()


async def test_a_client_that_is_gone_altogether_is_closed_once_its_lines_are_taken(
    rig: Rig,
) -> None:
    client, transport = rig.client()
    rig.bee.room = 0
    client.data_received(line(chi="prompt"))
    transport.hang_up()

    assert client.eof_received() is True
    assert not transport.is_closing()
    rig.bee.room = 5
    rig.settle(0)

    assert [tone.chi for tone in rig.bee.posted] == ["prompt"]
    assert transport.is_closing()


async def test_a_slow_reader_is_cut_after_a_while_and_others_are_not(rig: Rig) -> None:
    slow, transport = rig.client()
    slow.pause_writing()
    now = asyncio.get_running_loop().time()

    await rig.deliver(*(Tone(chi="tool-call", client=slow.client) for _ in range(LINES_MAX)))
    rig.door.sweep(now + FULL_SECONDS_MAX - 1)
    assert not transport.is_closing()
    rig.door.sweep(now + FULL_SECONDS_MAX + 5)

    assert transport.is_closing()
    assert rig.count("hum_door_cut_total", reason="slow-reader") == 1


async def test_a_slow_reader_that_catches_up_is_forgiven(rig: Rig) -> None:
    slow, transport = rig.client()
    slow.pause_writing()
    now = asyncio.get_running_loop().time()

    await rig.deliver(
        *(Tone(chi="tool-call", body={"n": n}, client=slow.client) for n in range(LINES_MAX)),
        Tone(chi="drone", client=slow.client),
    )
    slow.resume_writing()
    rig.door.sweep(now + FULL_SECONDS_MAX + 5)

    assert not transport.is_closing()
    assert [tone["n"] for tone in transport.read()] == list(range(LINES_MAX))
    assert rig.count("hum_door_undelivered_total", reason="slow-reader") == 1


async def test_a_hopeless_reader_is_cut_at_once_and_everything_that_waited_is_counted(
    rig: Rig,
) -> None:
    slow, transport = rig.client()
    slow.data_received(line(chi="prompt"))
    slow.pause_writing()
    count = LINES_MAX * HARD_FACTOR

    await rig.deliver(*(Tone(chi="tool-call", client=slow.client) for _ in range(count + 3)))

    assert transport.is_closing()
    (last,) = transport.read()
    assert (last["chi"], last["qualifier"]) == ("error", "queue.overflow")
    assert rig.bee.posted[-1].body == {"scope": "client", "reason": "slow-reader"}
    assert rig.count("hum_door_undelivered_total", reason="slow-reader") == count
    assert rig.count("hum_door_undelivered_total", reason="client-gone") == 3
    assert rig.door.client_count == 0


async def test_all_slow_readers_together_are_bounded_and_those_with_most_are_cut(rig: Rig) -> None:
    """Each of them is behind by less than what cuts off one alone."""
    lump = {"text": "x" * 4_000_000}
    slow = [rig.client() for _ in range(5)]
    reader, reader_transport = rig.client()
    for client, _ in slow:
        client.pause_writing()

    for client, _ in slow[1:]:
        await rig.deliver(*(Tone(chi="tool-call", client=client.client, body=lump),) * 7)
    assert rig.count("hum_door_cut_total") == 0
    await rig.deliver(*(Tone(chi="tool-call", client=slow[0][0].client, body=lump),) * 6)
    await rig.deliver(Tone(chi="finish", client=reader.client))

    assert [transport.is_closing() for _, transport in slow] == [False, True, True, True, False]
    assert rig.count("hum_door_cut_total", reason="slow-reader") == 3
    assert 0 < rig.count("hum_door_waiting_bytes") <= WAITING_BYTES_MAX // 2
    assert reader_transport.read() == [{"chi": "finish"}]
    for client, _ in slow:
        client.connection_lost(None)
    assert rig.count("hum_door_waiting_bytes") == 0


async def test_who_does_not_read_the_replies_to_its_own_lines_is_cut_between_two_of_them(
    rig: Rig,
) -> None:
    client, transport = rig.client()
    client.pause_writing()
    lines = line(chi="nonesuch", rid="r") * (LINES_MAX * HARD_FACTOR + 1)

    for start in range(0, len(lines), 1_000):
        if not transport.is_closing():
            client.data_received(lines[start : start + 1_000])
            await until(lambda: not client._is_turn_due)

    assert transport.is_closing()
    assert rig.count("hum_door_cut_total", reason="slow-reader") == 1
    assert rig.count("hum_door_undelivered_total", reason="slow-reader") == LINES_MAX * HARD_FACTOR


async def test_a_cut_client_that_does_not_even_read_why_is_closed_all_the_same(rig: Rig) -> None:
    slow, transport = rig.client()
    slow.pause_writing()
    now = asyncio.get_running_loop().time()
    rig.door.cut(slow, edge.SLOW_READER)

    rig.door.sweep(now + edge.LAST_LINE_SECONDS_MAX - 1)
    assert transport.aborts == 0
    rig.door.sweep(now + edge.LAST_LINE_SECONDS_MAX + 5)

    assert transport.aborts == 1
    assert rig.count("hum_door_cut_total") == 1


async def test_a_tone_for_nobody_and_a_body_json_lacks_are_counted(rig: Rig) -> None:
    client, transport = rig.client()

    await rig.deliver(
        Tone(chi="finish", client="gone"),
        Tone(chi="finish"),
        Tone(chi="finish", client=client.client, body={"raw": b"\x00"}),
        Tone(chi="finish", client=client.client),
    )

    assert transport.read() == [{"chi": "finish"}]
    assert rig.count("hum_door_undelivered_total", reason="client-gone") == 2
    assert rig.count("hum_door_undelivered_total", reason="unwritable") == 1


async def test_at_the_end_nothing_more_is_taken_and_humd_knows_who_is_gone(rig: Rig) -> None:
    client, transport = rig.client()
    client.data_received(line(chi="hello", rid="r"))

    rig.door.stop()
    client.data_received(line(chi="prompt"))
    rig.settle(1)
    rig.door.close()

    assert [tone.chi for tone in rig.bee.posted] == ["hello", "bee-retract"]
    assert transport.read() == [{"chi": "echo", "rid": "r", "ok": True}]
    assert transport.is_closing()
    client.connection_lost(None)
    assert rig.door.emptied.is_set()
    assert len(rig.bee.posted) == 2
