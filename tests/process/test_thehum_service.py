"""thehum as a process, with a humd that the test plays on a real bus."""

import resource
import signal
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from tests.support.humd import BEGUN, Humd
from tests.support.stack import Stack
from tests.unit.thehum.chains import lines_of

from thehum.core.audit import Author, audit
from thehum.core.names import CHECKPOINT, segment_name
from thehum.core.notes import open_checkpoint
from thehum.core.pages import BULK_EVENTS_MAX, PAGE_BYTES_MAX, PAGE_EVENTS_MAX
from thehum.edge.directory import segments_in
from thrum import frames
from thrum.chi import LinkChi
from thrum.frames import Header
from thrum.ids import hid_of

pytestmark = pytest.mark.process


@pytest.fixture
def stack() -> Iterator[Stack]:
    with Stack(services=()) as made:
        yield made


@pytest.fixture
def humd(stack: Stack) -> Iterator[Humd]:
    stack.start("thehum")
    with Humd(stack) as played:
        played.joined()
        yield played


def events(stack: Stack) -> list[dict[str, Any]]:
    """Every event in the log's files but the first, which is the log's own; all are verified."""
    root = stack.paths.thehum
    author = orjson.loads(stack.paths.thehum_author.read_bytes())
    owner = Author(hid=author["hid"], public=bytes.fromhex(author["pubkey"]))
    read = {first: (root / segment_name(first)).read_bytes() for first in segments_in(root)}
    assert audit(sorted(read), read.__getitem__, owner, every=True).damage is None
    lines = [line for first in sorted(read) for line in lines_of(read[first].rstrip(b"\0"))]
    logged = [orjson.loads(line) for line in lines]
    assert [event["chi"] for event in logged[:BEGUN]] == ["key-commit"]
    return logged[BEGUN:]


def test_it_joins_as_the_log_and_says_where_it_stands(humd: Humd) -> None:
    assert humd.hello["bee"] == ["log"]
    assert humd.hello["hive"] == "thehum"
    assert humd.hello["head"]["seq"] == BEGUN
    assert humd.hello["offer"] == {}
    assert humd.hello["state"] == "writable"
    assert humd.hello["author"].startswith("humd_")
    assert humd.hello["hid"].startswith("fbee_")


def test_a_confirmed_batch_is_on_disk(stack: Stack, humd: Humd) -> None:
    humd.append(1, 1, 3)

    answer = humd.durable(1)

    logged = events(stack)
    assert [event["rid"] for event in logged] == ["r1", "r2", "r3"]
    assert logged[1]["body"]["@via"] == {"batch": "e.1", "client": "c1", "link": 2, "peer": None}
    assert answer["head_seq"] == 3 + BEGUN
    assert logged[0]["ts_ms"] >= 1_700_000_000_001


def test_batches_that_wait_are_confirmed_together_and_in_order(stack: Stack, humd: Humd) -> None:
    for batch in range(1, 201):
        humd.append(batch, 2 * batch - 1, 2)

    humd.durable(200)

    logged = events(stack)
    assert [event["seq"] for event in logged] == list(range(1 + BEGUN, 401 + BEGUN))
    assert sum(event["sig"] is not None for event in logged) <= 200


def test_a_batch_offered_again_is_confirmed_and_not_appended_twice(
    stack: Stack, humd: Humd
) -> None:
    humd.append(1, 1, 2)
    humd.append(2, 3, 2)
    humd.durable(2)

    humd.append(1, 1, 2)
    assert humd.durable(2)["batch"] == 2
    humd.append(2, 3, 2)
    humd.append(3, 5, 1)
    humd.durable(3)

    assert [event["seq"] for event in events(stack)] == [2, 3, 4, 5, 6]


def test_a_batch_that_counts_differently_is_refused(stack: Stack, humd: Humd) -> None:
    humd.append(1, 7)

    answer = humd.refused()

    assert answer["refused"] == "tone.malformed"
    assert "begins with event 8, we go on with 2" in answer["reason"]
    humd.append(1, 1)
    humd.durable(1)
    assert len(events(stack)) == 1


def test_a_batch_whose_parcels_are_none_is_refused_whole(stack: Stack, humd: Humd) -> None:
    body = {"epoch": "e", "batch": 1, "first_seq": 1 + BEGUN, "at_ms": 1}
    humd.send(Header(LinkChi.APPEND), {**body, "sections": [["c1", None, 1, b"\xc1"]]})
    assert humd.refused()["refused"] == "tone.malformed"

    good = frames.pack(Header("chunk", "r1"), {})
    humd.send(Header(LinkChi.APPEND), {**body, "sections": [["c1", None, 2, good]]})
    assert humd.refused()["refused"] == "tone.malformed"

    humd.send(Header(LinkChi.APPEND), {**body, "sections": "none"})
    assert humd.refused()["refused"] == "tone.malformed"
    assert events(stack) == []


def test_after_a_kill_every_confirmed_batch_is_there_once(stack: Stack, humd: Humd) -> None:
    """`reliability F1`: what was not confirmed is offered again."""
    confirmed, offered = 0, 0
    for _ in range(6):
        for _ in range(30):
            offered += 1
            humd.append(offered, offered)
        confirmed = humd.durable(confirmed + 1)["batch"]
        stack.kill("thehum", signal.SIGKILL)
        stack.start("thehum")

        hello = humd.joined()

        last = hello["offer"].get("batch", 0)
        assert last >= confirmed
        assert hello["head"]["seq"] == last + BEGUN
        for batch in range(max(last - 3, 1), offered + 1):
            humd.append(batch, batch)
        confirmed = humd.durable(offered)["batch"]

    assert [event["rid"] for event in events(stack)] == [f"r{seq}" for seq in range(1, offered + 1)]


def test_no_room_is_refused_and_the_same_batch_goes_in_when_there_is_room_again(
    stack: Stack, humd: Humd
) -> None:
    """`reliability F5`, with a limit of the system on the size of files."""
    humd.append(1, 1)
    humd.durable(1)
    resource.prlimit(stack.pid("thehum"), resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
    humd.append(2, 2)
    humd.append(3, 3)

    answer = humd.refused()
    page = humd.backfill()
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(stack.pid("thehum"), resource.RLIMIT_FSIZE, unlimited)
    humd.append(2, 2)
    humd.append(3, 3)
    while humd.read(LinkChi.DURABLE).body.get("head_seq") != 3 + BEGUN:
        pass

    assert (answer["batch"], answer["refused"]) == (2, "log.unavailable")
    assert len(page["events"]) == 1 + BEGUN
    assert [event["seq"] for event in events(stack)] == [2, 3, 4]


def test_it_outlives_humd_and_joins_the_next_one(stack: Stack) -> None:
    stack.start("thehum")
    with Humd(stack) as first:
        first.joined()
        first.append(1, 1)
        first.durable(1)

    with Humd(stack) as second:
        hello = second.joined()
        second.append(1, 2, epoch="f")
        second.durable(1)

    assert hello["offer"] == {"epoch": "e", "batch": 1}
    assert [event["body"]["@via"]["batch"] for event in events(stack)] == ["e.1", "f.1"]


def test_pages_lead_through_the_log(humd: Humd) -> None:
    humd.append(1, 1, 600)
    humd.durable(1)
    lines: list[str] = []
    at: int | None = 1

    while at is not None:
        page = humd.backfill(from_seq=at)
        assert len(page["events"]) <= PAGE_EVENTS_MAX
        assert sum(map(len, page["events"])) <= PAGE_BYTES_MAX
        lines += page["events"]
        at = page["next_seq"]

    assert [orjson.loads(line)["seq"] for line in lines] == list(range(1, 601 + BEGUN))
    assert page["head_seq"] == 600 + BEGUN
    assert page["first_seq"] == 1
    assert page["author"] == humd.hello["author"]
    assert page["author"] == str(hid_of("humd", bytes.fromhex(page["pubkey"])))
    assert page["snapshot"] is None


def test_only_humd_itself_gets_bulk_pages(humd: Humd) -> None:
    humd.append(1, 1, 600)
    humd.durable(1)

    bulk = humd.backfill(sender="humd", from_seq=1, limit=BULK_EVENTS_MAX, bulk=True)
    other = humd.backfill(from_seq=1, limit=BULK_EVENTS_MAX, bulk=True)

    assert len(bulk["events"]) == 600 + BEGUN
    assert bulk["next_seq"] is None
    assert len(other["events"]) <= PAGE_EVENTS_MAX


def test_a_page_may_be_of_one_conversation(humd: Humd) -> None:
    humd.append(1, 1, 9)
    humd.durable(1)

    page = humd.backfill(from_seq=2 + BEGUN, sid="s1")
    by_body = humd.backfill(sender="humd", from_seq=2, limit=2)

    assert [orjson.loads(line)["seq"] for line in page["events"]] == [4, 6, 8, 10]
    assert page["next_seq"] is None
    assert [orjson.loads(line)["seq"] for line in by_body["events"]] == [2, 3]
    assert by_body["next_seq"] == 4


def test_events_of_an_unknown_author_are_none(humd: Humd) -> None:
    humd.append(1, 1)
    humd.durable(1)

    page = humd.backfill(author="humd_" + "0" * 64)

    assert (page["events"], page["head_seq"], page["next_seq"]) == ([], 0, None)


def test_a_request_that_is_none_is_declined(humd: Humd) -> None:
    page = humd.backfill(from_seq="first")

    assert page["events"] == []
    assert page["qualifier"] == "tone.malformed"


def test_it_tells_its_vitals(humd: Humd) -> None:
    humd.append(1, 1, 5)
    humd.durable(1)
    humd.send(Header(LinkChi.VITALS, "v1", sender="sidecar"), {})

    vitals = humd.read(LinkChi.VITALS)

    values = {
        metric["name"]: metric["samples"][0].get("value")
        for metric in vitals.body["metrics"]
        if metric["samples"]
    }
    assert vitals.to == "sidecar"
    assert values["hum_log_events_total"] == 5
    assert values["hum_log_head"] == 5 + BEGUN


def test_a_damaged_log_is_read_and_not_written(stack: Stack) -> None:
    stack.start("thehum")
    with Humd(stack) as humd:
        humd.joined()
        for batch in range(1, 4):
            humd.append(batch, batch)
            humd.durable(batch)
        stack.kill("thehum", signal.SIGTERM)
        path = stack.paths.thehum / segment_name(1)
        path.write_bytes(path.read_bytes().replace(b'"delta":"2"', b'"delta":"3"'))
        stack.start("thehum")

        hello = humd.joined()
        humd.append(1, hello["head"]["seq"], epoch="f")

        assert hello["state"] == "read-only"
        assert "event 3" in hello["reason"]
        assert hello["head"]["seq"] == 1 + BEGUN
        assert humd.refused()["refused"] == "log.unavailable"
        assert len(humd.backfill()["events"]) == 1 + BEGUN


def test_asked_to_stop_it_remembers_its_head_and_exits_with_success(
    stack: Stack, humd: Humd
) -> None:
    humd.append(1, 1, 4)
    humd.durable(1)

    status = stack.kill("thehum", signal.SIGTERM)

    assert status == 0
    assert stack.paths.thehum_seq.read_bytes() == (4 + BEGUN).to_bytes(8, "big")


def test_a_second_thehum_of_the_same_user_does_not_start(stack: Stack, humd: Humd) -> None:
    stack.start("thehum", instance="another")

    assert stack.wait_exit("another") == 78
    assert "thehum" in stack.log("another")


def test_a_stop_leaves_a_checkpoint_of_every_event(stack: Stack, humd: Humd) -> None:
    author = orjson.loads(stack.paths.thehum_author.read_bytes())
    for batch, first_seq in ((1, 1), (2, 301)):
        humd.append(batch, first_seq, count=300)
        humd.durable(batch)

        assert stack.kill("thehum", signal.SIGTERM) == 0

        note = (stack.paths.thehum / CHECKPOINT).read_text("utf-8")
        checkpoint = open_checkpoint(note, public=bytes.fromhex(author["pubkey"]))
        assert (checkpoint.author, checkpoint.size) == (author["hid"], len(events(stack)) + BEGUN)
        stack.start("thehum")
        humd.joined()
    assert "log.tiles_lost" not in stack.log("thehum")
