"""Bodies beside the log: on disk before their events, forgotten for good (features C5)."""

import errno
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import orjson
import pytest
from tests.support.humd import BEGUN, Humd
from tests.support.stack import Stack
from tests.unit.thehum.chains import append, identity, keep

from thehum.core.audit import Author, audit
from thehum.core.bodies import Via, read_drafts
from thehum.core.keeping import place_of
from thehum.core.names import bodies_name, forget_name, segment_name
from thehum.core.pages import PageLimits
from thehum.edge.bodies import DamagedBody
from thehum.edge.directory import segments_in
from thehum.edge.log import Log
from thehum.errors import DiskFull
from thrum import frames
from thrum.chi import Chi
from thrum.frames import Header

pytestmark = pytest.mark.process
SEGMENT_BYTES = 256 * 1024
CANARY = "the-canary-sings"


def open_log(root: Path) -> Log:
    return Log(root, identity(), segment_bytes=SEGMENT_BYTES)


@pytest.fixture
def root(home: Path) -> Path:
    return home / "thehum"


def put(log: Log, *tones: tuple[str | None, int]) -> None:
    """Append a group of prompts, each of a sid and with a body of so many bytes."""
    builder = log.builder()
    parcels = b"".join(
        frames.pack(Header("prompt", "r", sid), {"content": f"{CANARY} {sid} " + "x" * size})
        for sid, size in tones
    )
    drafts, asides = read_drafts(
        parcels,
        via=Via("e.1", "c", None),
        mint=str,
        keep=keep(sensitive=frozenset({"prompt"})),
        first_seq=builder.next_seq,
    )
    builder.add(drafts, 1)
    log.append(builder.seal(), None, asides)


def content(log: Log, seq: int) -> str | None:
    """What event `seq` said, when its body is still there."""
    (line,) = log.page(seq, PageLimits(events_max=1)).lines
    place = place_of(line)
    assert place is not None
    raw = log.bodies.read(seq, place)
    return None if raw is None else str(msgpack.unpackb(raw)["content"])


def verifies(log: Log) -> bool:
    root = log.bodies.folder.parent
    read = {first: (root / segment_name(first)).read_bytes() for first in segments_in(root)}
    author = Author(hid=log.author, public=log.public)
    return audit(sorted(read), read.__getitem__, author, every=True).damage is None


def holds(folder: Path, text: str) -> bool:
    """Whether any file below `folder` has this text in it."""
    return any(text.encode() in path.read_bytes() for path in folder.rglob("*") if path.is_file())


def full(*_: Any) -> Any:
    raise OSError(errno.ENOSPC, "no room")


def test_bodies_come_back_as_they_were_after_reopening(root: Path) -> None:
    log = open_log(root)
    put(log, ("a", 10), ("b", 50_000))
    append(log, 3)
    put(log, ("a", 200_000))
    log.close()

    log = open_log(root)

    assert content(log, 1) == f"{CANARY} a " + "x" * 10
    assert content(log, 2) == f"{CANARY} b " + "x" * 50_000
    assert content(log, 6) == f"{CANARY} a " + "x" * 200_000
    assert verifies(log)
    log.close()


def test_a_log_of_small_bodies_has_no_folder_for_large_ones(root: Path) -> None:
    log = open_log(root)
    append(log, 3)
    log.close()

    assert not (root / "bodies").exists()


def test_files_of_bodies_go_with_their_segments(root: Path) -> None:
    log = open_log(root)
    for _ in range(8):
        put(log, *[("a", 30_000)] * 10)
    firsts = segments_in(root)
    before = log.bodies.size()

    freed = log.bodies.drop(firsts[1] - 1)

    assert len(firsts) > 1, "a segment with much beside it is sealed"
    assert freed + log.bodies.size() == before
    assert content(log, 1) is None
    assert content(log, firsts[1]) is not None
    log.close()


def test_forgetting_erases_one_conversation_and_nothing_else_changes(root: Path) -> None:
    log = open_log(root)
    put(log, ("a", 40_000), ("b", 40_000), ("a", 5))
    put(log, ("b", 7), ("a", 9))
    lines = log.page(1, PageLimits()).lines
    before = log.bodies.size()

    erased = [log.bodies.forget("a", before_seq=5, first_seq=first) for first in log.bodies.firsts]

    assert sum(one.bodies for one in erased) == 2
    assert [content(log, seq) is None for seq in range(1, 6)] == [True, False, True, False, False]
    assert log.bodies.size() < before - 40_000
    assert log.page(1, PageLimits()).lines == lines
    assert verifies(log)
    put(log, ("a", 3))
    log.close()
    log = open_log(root)
    assert content(log, 6) == f"{CANARY} a xxx"
    assert [content(log, seq) is None for seq in range(1, 6)] == [True, False, True, False, False]
    log.close()


def test_when_all_is_forgotten_the_file_is_gone(root: Path) -> None:
    log = open_log(root)
    put(log, ("a", 100))

    log.bodies.forget("a", before_seq=9, first_seq=1)

    assert os.listdir(log.bodies.folder) == []
    put(log, ("a", 100))
    assert content(log, 2) == f"{CANARY} a " + "x" * 100
    log.close()


def test_without_room_to_make_the_file_smaller_it_is_erased_in_place(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = open_log(root)
    put(log, ("a", 40_000), ("b", 10))

    with monkeypatch.context() as patch:
        patch.setattr(os, "ftruncate", full)
        log.bodies.forget("a", before_seq=9, first_seq=1)

    assert not holds(log.bodies.folder, f"{CANARY} a")
    assert content(log, 1) is None
    assert content(log, 2) is not None
    log.close()


def test_a_changed_body_is_noticed_when_it_is_read(root: Path) -> None:
    log = open_log(root)
    put(log, ("a", 100))
    path = log.bodies.folder / bodies_name(1)
    path.write_bytes(path.read_bytes().replace(CANARY.encode(), CANARY.upper().encode()))

    with pytest.raises(DamagedBody, match="event 1"):
        content(log, 1)
    log.close()


def test_bodies_of_events_that_never_came_to_be_are_cut_off(root: Path) -> None:
    log = open_log(root)
    put(log, ("a", 100))
    append(log, 1)
    kept = (log.bodies.folder / bodies_name(1)).read_bytes()
    put(log, ("b", 50_000))
    segment = (root / segment_name(1)).read_bytes()
    last = segment.rstrip(b"\0")[:-1].rfind(b"\n") + 1
    log.close()
    (root / segment_name(1)).write_bytes(segment[:last] + bytes(len(segment) - last))
    (root / "seq.bin").write_bytes((2).to_bytes(8, "big"))
    (root / "bodies" / bodies_name(3)).write_bytes(b"never acknowledged")
    (root / "bodies" / f"{bodies_name(1)}.tmp").write_bytes(b"half")

    log = open_log(root)

    assert {path.name: path.read_bytes() for path in log.bodies.folder.iterdir()} == {
        bodies_name(1): kept
    }
    assert content(log, 1) is not None
    put(log, ("c", 5))
    assert content(log, 3) == f"{CANARY} c xxxxx"
    log.close()


def test_damage_before_bodies_of_the_log_is_no_reason_to_cut(root: Path) -> None:
    log = open_log(root)
    put(log, ("a", 100))
    put(log, ("b", 100))
    log.close()
    path = root / "bodies" / bodies_name(1)
    damaged = b"XXXX" + path.read_bytes()[4:]
    path.write_bytes(damaged)

    log = open_log(root)
    put(log, ("c", 100))

    assert path.read_bytes() == damaged
    assert content(log, 3) is not None
    log.close()


def test_after_a_full_disk_the_same_group_goes_in(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = open_log(root)
    put(log, ("a", 10))
    write, calls = os.pwrite, list[int]()

    def second(handle: int, data: bytes, offset: int) -> int:
        calls.append(offset)
        return full() if len(calls) == 2 else write(handle, data, offset)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", second)
        with pytest.raises(DiskFull):
            put(log, ("b", 60_000))  # its body is there, its line is not
    put(log, ("c", 20))

    assert content(log, 2) == f"{CANARY} c " + "x" * 20
    assert not holds(log.bodies.folder, f"{CANARY} b")
    assert verifies(log)
    log.close()


CRASHES = 16
"""Changes of the disk in one forgetting, and a few more."""
CHANGES = ("pwrite", "fdatasync", "fsync", "ftruncate", "replace", "unlink")


@pytest.mark.parametrize("at", range(CRASHES))
def test_a_crash_at_any_step_of_forgetting_is_made_good_by_forgetting_again(
    root: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    log = open_log(root)
    put(log, ("a", 2_000), ("b", 3_000), ("a", 10))
    put(log, ("b", 7))
    crash, left = root.with_name("crash"), [at]

    def dying(name: str) -> Any:
        real = getattr(os, name)

        def call(*arguments: Any, **options: Any) -> Any:
            left[0] -= 1
            if left[0] == -1:
                shutil.copytree(root, crash)
            return real(*arguments, **options)

        return call

    with monkeypatch.context() as patch:
        for name in CHANGES:
            patch.setattr(os, name, dying(name))
        log.bodies.forget("a", before_seq=9, first_seq=1)
    log.close()

    assert crash.exists() == (at < CRASHES - 2), "all of its steps are tried, and no more"
    log = open_log(crash if crash.exists() else root)
    for first in list(log.bodies.firsts):
        log.bodies.forget("a", before_seq=9, first_seq=first)

    assert not holds(log.bodies.folder, f"{CANARY} a")
    assert [content(log, seq) for seq in (2, 4)] == [
        f"{CANARY} b " + "x" * 3_000,
        f"{CANARY} b " + "x" * 7,
    ]
    assert verifies(log)
    log.close()


@pytest.fixture
def stack() -> Iterator[Stack]:
    with Stack(services=()) as made:
        yield made


def prompt(sid: str, text: str) -> tuple[Header, dict[str, Any]]:
    return Header("prompt", "r1", sid), {"content": text, "modelId": "m"}


def test_a_picture_goes_beside_and_comes_back_to_who_replays(stack: Stack) -> None:
    stack.start("thehum")
    picture = CANARY * 300_000
    with Humd(stack) as humd:
        humd.joined()
        humd.offer(1, 1, prompt("s1", picture), prompt("s2", "small"))
        humd.durable(1)

        plain = humd.backfill(bulk=True, sender="humd")
        whole = humd.backfill(bulk=True, sender="humd", bodies=True)
        at_a_door = humd.backfill(bodies=True, sender="door/c1", from_seq=1 + BEGUN)

    assert len(plain["events"][BEGUN]) < 2_000
    assert "bodies" not in plain
    assert [msgpack.unpackb(raw)["content"] for raw in whole["bodies"].values()] == [picture]
    assert whole["events"] == plain["events"]
    assert [type(text) for text in at_a_door["bodies"].values()] == [str]
    assert (stack.paths.thehum / segment_name(1)).stat().st_blocks * 512 <= 17 * 1024 * 1024


def test_pages_with_large_bodies_are_short_and_miss_nothing(stack: Stack) -> None:
    stack.start("thehum")
    with Humd(stack) as humd:
        humd.joined()
        for batch in range(1, 6):
            humd.offer(batch, batch, prompt("s", str(batch) + "x" * 6_000_000))
        humd.durable(5)
        seen, from_seq, pages = list[str](), 1, 0
        while from_seq:
            page = humd.backfill(bulk=True, sender="humd", bodies=True, from_seq=from_seq)
            seen += [msgpack.unpackb(raw)["content"][0] for raw in page["bodies"].values()]
            from_seq, pages = page["next_seq"], pages + 1

    assert seen == ["1", "2", "3", "4", "5"]
    assert pages > 1


def forgetting(humd: Humd, batch: int, seq: int, sid: str) -> dict[str, Any]:
    """Order that `sid` be forgotten; what thehum has to report."""
    humd.offer(batch, seq, (Header("forget", f"f{seq}", sid), {"by": "a test"}))
    humd.durable(batch)
    return humd.read(Chi.FORGOTTEN).body


def test_an_order_is_carried_out_and_reported(stack: Stack) -> None:
    stack.start("thehum")
    with Humd(stack) as humd:
        humd.joined()
        humd.offer(1, 1, prompt("s1", CANARY * 10_000), prompt("s2", "other" * 10_000))
        humd.durable(1)

        report = forgetting(humd, 2, 3, "s1")
        whole = humd.backfill(bodies=True, sender="humd", bulk=True)

    assert (report["order"], report["bodies"], report["whole"]) == (3 + BEGUN, 1, True)
    assert report["bytes"] > 100_000
    assert not holds(stack.paths.thehum, CANARY)
    assert [msgpack.unpackb(raw)["content"][:5] for raw in whole["bodies"].values()] == ["other"]
    assert len(whole["events"]) == 3 + BEGUN


def test_a_note_outlives_kills_until_the_report_is_in_the_log(stack: Stack) -> None:
    stack.start("thehum")
    with Humd(stack) as humd:
        humd.joined()
        humd.offer(1, 1, prompt("s1", CANARY * 10_000))
        humd.durable(1)
        forgetting(humd, 2, 2, "s1")
        stack.kill("thehum")
        assert (stack.paths.thehum / forget_name(2 + BEGUN)).exists()
        stack.start("thehum")
        humd.joined()

        again = humd.read(Chi.FORGOTTEN)
        humd.send(Header("credit"), {"upto": 1, "refused": {}})
        humd.backfill()  # answered after what came before it

    assert again.body["order"] == 2 + BEGUN
    assert not (stack.paths.thehum / forget_name(2 + BEGUN)).exists()


def test_a_note_whose_order_never_was_in_the_log_is_removed(stack: Stack) -> None:
    stack.start("thehum")
    with Humd(stack) as humd:
        humd.joined()
        humd.offer(1, 1, prompt("s1", CANARY * 10_000))
        humd.durable(1)
        assert stack.kill("thehum", signal.SIGTERM) == 0
        for seq in (2, 3):
            note = stack.paths.thehum / forget_name(seq)
            note.write_bytes(orjson.dumps({"seq": seq, "sid": "s1"}))
            note.chmod(0o600)
        stack.start("thehum")
        humd.joined()
        page = humd.backfill(bodies=True, sender="humd", from_seq=1 + BEGUN)

    assert len(page["bodies"]) == 1
    assert not list(stack.paths.thehum.glob("forget-*"))
