"""A damaged log is read-only and says why; it is repaired, or goes on from an older copy."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.support.humd import BEGUN, Humd
from tests.support.stack import CORE, QUIET_SETTINGS, Stack

from nest.private import replace_private
from thehum.core.names import QUARANTINE_DIR, TROUBLE, packed_name, segment_name
from thehum.core.sealed import Packer, unpack
from thehum.edge.directory import segments_in
from thehum.edge.keys import Keyring
from thehum.edge.log import Log
from thehum.edge.scrub import EVERY_SECONDS, Scrub
from thrum.frames import Header

pytestmark = [pytest.mark.process, pytest.mark.timeout(90)]
SEGMENT = 1024 * 1024
GROUP, GROUPS = 20, 18
EVENTS = GROUP * GROUPS
TEXT = "x" * 8_000
SETTINGS = {**QUIET_SETTINGS, "humd": {"metricsAddr": "", "thehum": {"segmentBytes": SEGMENT}}}


def says(humd: Humd, batch: int, first: int, count: int) -> None:
    """Have the log take some events."""
    tones = [
        (Header("chunk", f"r{seq}", f"s{seq % 2}", seq=seq), {"delta": f"{seq}{TEXT}"})
        for seq in range(first, first + count)
    ]
    humd.offer(batch, first, *tones)
    humd.durable(batch)


def hum(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hum", "thehum", *arguments],
        env={**stack.env, "USER": "somebody", "LOGNAME": "somebody"},
        capture_output=True,
        text=True,
        check=False,
    )


def told(stack: Stack, *arguments: str, status: int = 0) -> dict[str, Any]:
    done = hum(stack, *arguments, "--json")
    assert done.returncode == status, done.stdout + done.stderr
    answer: dict[str, Any] = orjson.loads(done.stdout)
    return answer


@pytest.fixture
def stack() -> Iterator[Stack]:
    """A log of some segments, whose oldest are compressed; nobody writes to it."""
    with Stack(services=(), settings=SETTINGS) as stack:
        stack.start("thehum")
        with Humd(stack) as humd:
            humd.joined()
            for batch in range(1, GROUPS + 1):
                says(humd, batch, (batch - 1) * GROUP + 1, GROUP)
            root = stack.paths.thehum
            packed = [packed_name(first) for first in segments_in(root)[:-1]]
            stack.wait_for(
                lambda: (
                    all((root / name).exists() for name in packed)
                    and not any(
                        (root / segment_name(first)).exists() for first in segments_in(root)[:-1]
                    )
                ),
                "compressed segments",
            )
        stack.kill("thehum", signal.SIGTERM)
        yield stack


def files(stack: Stack) -> list[Path]:
    """The files of the segments, oldest first."""
    root = stack.paths.thehum
    names = ((packed_name(first), segment_name(first)) for first in segments_in(root))
    return [next(root / name for name in pair if (root / name).exists()) for pair in names]


def flip(path: Path, at: int) -> bytes:
    """Flip a bit of a file; what was in it before."""
    before = path.read_bytes()
    changed = bytearray(before)
    changed[at] ^= 1
    replace_private(path, bytes(changed))
    return before


def test_a_segment_rotten_long_ago_is_named_repaired_and_told(stack: Stack) -> None:
    first, second, *_ = files(stack)
    seqs = segments_in(stack.paths.thehum)
    before = flip(second, 200)

    damaged = told(stack, "verify", status=1)
    done = told(stack, "repair")
    again = told(stack, "repair")
    verdict = told(stack, "verify", "--full")
    kept = [(stack.paths.thehum / name).read_bytes() for name in done["kept"]]

    assert seqs[1] <= damaged["damage"]["seq"] < seqs[2]
    (gap,) = done["gaps"]
    assert seqs[1] <= gap["first_seq"] <= gap["last_seq"] < seqs[2]
    assert [bytes(one) != before for one in kept] == [True]
    assert len(kept[0]) == len(before)
    assert (again["gaps"], again["kept"]) == (done["gaps"], [])
    assert verdict["ok"]
    assert verdict["lost"] == [{key: gap[key] for key in ("first_seq", "last_seq")}]
    lost = gap["last_seq"] + 1 - gap["first_seq"]
    assert verdict["events"] == EVENTS + BEGUN + 1 - lost
    shown = hum(stack, "tail", "--chi", "log-repaired", "--json").stdout
    (event,) = map(orjson.loads, shown.splitlines())
    assert (event["body"]["gaps"], event["body"]["by"]) == (done["gaps"], "somebody")
    assert first.exists()


def test_after_a_repair_the_whole_stack_goes_on(stack: Stack) -> None:
    stack.configure(SETTINGS)
    _, second, *_ = files(stack)
    flip(second, 200)
    told(stack, "repair")

    for name in CORE:
        stack.start(name)
    stack.wait_ready()
    with stack.client() as client:
        client.read_until("breath")
        client.send(chi="prompt", rid="1", sid="s", content="x")
        assert client.read_until("echo", rid="1")["ok"] is True
    for name in reversed(CORE):
        assert stack.kill(name, signal.SIGTERM) == 0

    assert told(stack, "verify", "--full")["ok"]
    assert told(stack, "status")["lost"]


@pytest.mark.parametrize("what", ["gone", "cut", "empty"])
def test_a_segment_that_is_not_there_is_a_gap_with_a_name(stack: Stack, what: str) -> None:
    _, second, *_ = files(stack)
    seqs = segments_in(stack.paths.thehum)
    if what == "gone":
        second.unlink()
    else:
        data = second.read_bytes()
        replace_private(second, data[: len(data) // 2] if what == "cut" else b"")

    damaged = told(stack, "verify", status=1)
    done = told(stack, "repair")

    assert seqs[1] <= damaged["damage"]["seq"] < seqs[2]
    assert done["gaps"][0]["last_seq"] == seqs[2] - 1
    assert told(stack, "verify", "--full")["ok"]


def test_damage_in_the_newest_segments_makes_the_log_read_only_and_everybody_can_see_it(
    stack: Stack,
) -> None:
    newest = files(stack)[-1]
    text = newest.read_bytes()
    at = text.index(b'"delta"')
    flip(newest, at + 1)

    stack.start("thehum")
    with Humd(stack) as humd:
        hello = humd.joined()
        humd.append(99, hello["head"]["seq"], epoch="f")
        refused = humd.refused()
        page = humd.backfill(from_seq=1)
    stack.kill("thehum", signal.SIGTERM)
    status = told(stack, "status")
    shown = hum(stack, "status").stdout
    everything = told(stack, "range", "--from", str(EVENTS + BEGUN))

    assert (hello["state"], hello["trouble"]["kind"]) == ("read-only", "damaged")
    assert refused["refused"] == "log.unavailable"
    assert len(page["events"]) > 0
    assert status["read_only"]["kind"] == "damaged"
    assert status["read_only"]["segment"] == newest.name
    assert "damaged" in shown
    assert everything["seq"] == EVENTS + BEGUN  # what is good behind the damage is read, too
    told(stack, "repair")
    stack.start("thehum")
    with Humd(stack) as humd:
        assert humd.joined()["state"] == "writable"
    assert not (stack.paths.thehum / TROUBLE).exists()


def test_repairing_a_good_log_does_nothing(stack: Stack) -> None:
    before = {path: path.read_bytes() for path in files(stack)}

    done = told(stack, "repair")

    assert (done["gaps"], done["segments"], done["kept"]) == ([], [], [])
    assert {path: path.read_bytes() for path in files(stack)} == before


def test_nothing_is_repaired_while_somebody_writes(stack: Stack) -> None:
    stack.start("thehum")
    with Humd(stack) as humd:
        humd.joined()
        refused = hum(stack, "repair")

    assert refused.returncode == 78
    assert "writer" in refused.stderr


def test_an_older_copy_of_the_whole_folder_is_found_out_and_restored_only_by_its_owner(
    stack: Stack, tmp_path: Path
) -> None:
    """`reliability F8`, with `seq.bin` and everything else of that time in the copy."""
    root = stack.paths.thehum
    shutil.copytree(root, tmp_path / "copy")
    stack.start("thehum")
    with Humd(stack) as humd:
        humd.joined()
        humd.append(99, EVENTS + 1, 5, epoch="g")
        humd.durable(99)
    stack.kill("thehum", signal.SIGTERM)
    later = (root / "checkpoint").read_text()
    shutil.rmtree(root)
    shutil.copytree(tmp_path / "copy", root)

    stack.start("thehum")
    with Humd(stack) as humd:
        hello = humd.joined()
    stack.kill("thehum", signal.SIGTERM)
    not_repaired = hum(stack, "repair")
    not_confirmed = hum(stack, "restore")
    done = told(stack, "restore", "--yes", "--reason", "the disk died")
    stack.start("thehum")
    with Humd(stack) as humd:
        again = humd.joined()
        humd.append(100, again["head"]["seq"], 3, epoch="h")
        humd.durable(100)
    stack.kill("thehum", signal.SIGTERM)
    (tmp_path / "note").write_text(later)
    verdict = told(stack, "verify", "--full")
    event = orjson.loads(hum(stack, "range", "--from", str(done["seq"]), "--to", str(done["seq"]),
                             "--json").stdout)  # fmt: skip

    assert (hello["state"], hello["trouble"]["kind"]) == ("read-only", "rolled-back")
    assert "hum thehum restore" in hello["trouble"]["hint"]
    assert not_repaired.returncode == 1
    assert not_confirmed.returncode == 2
    assert done["epoch"] == 2
    assert done["old"]["seq"] == EVENTS + BEGUN + 5
    assert again["state"] == "writable"
    assert verdict["ok"], verdict
    assert (root / "checkpoint").read_text().startswith(f"hum/{verdict['author']}/2\n")
    assert event["chi"] == "log-restored"
    assert event["body"]["reason"] == "the disk died"
    assert hum(stack, "verify", "--witness", str(tmp_path / "note")).returncode == 0
    assert told(stack, "status")["epoch"] == 2


def test_a_log_of_another_history_in_its_place_is_found_out(stack: Stack, tmp_path: Path) -> None:
    """As long as it was, and signed with the same key."""
    root = stack.paths.thehum
    shutil.copytree(root, tmp_path / "copy")
    for epoch, folder in (("x", None), ("y", tmp_path / "copy")):
        if folder is not None:
            shutil.rmtree(root)
            shutil.copytree(folder, root)
            head_file = stack.paths.thehum_head.read_bytes()
            stack.paths.thehum_head.unlink()
        stack.start("thehum")
        with Humd(stack) as humd:
            humd.joined()
            humd.append(99, EVENTS + 1, 5, epoch=epoch)
            humd.durable(99)
        stack.kill("thehum", signal.SIGTERM)
    replace_private(stack.paths.thehum_head, head_file)

    stack.start("thehum")
    with Humd(stack) as humd:
        hello = humd.joined()

    assert hello["trouble"]["kind"] == "rolled-back"
    assert "another log" in hello["reason"]


def test_a_tail_that_was_acknowledged_is_not_cut_but_by_its_owner(stack: Stack) -> None:
    newest = files(stack)[-1]
    data = newest.read_bytes().rstrip(b"\0")
    end = data[:-1].rfind(b"\n") + 1
    flip(newest, end + 200)

    stack.start("thehum")
    with Humd(stack) as humd:
        hello = humd.joined()
    stack.kill("thehum", signal.SIGTERM)
    refused = hum(stack, "repair")
    done = told(stack, "restore", "--yes")

    assert hello["state"] == "read-only"
    assert refused.returncode == 1
    assert "restore" in refused.stderr
    assert done["kept_seq"] < EVENTS + BEGUN
    assert told(stack, "verify", "--full")["ok"]
    assert list((stack.paths.thehum / QUARANTINE_DIR).glob("damaged-*"))


# --- damage that nobody looked at yet


def test_rot_in_an_old_segment_does_not_end_a_log_that_comes_by_it(stack: Stack) -> None:
    """Without its folder of witnessed heads the log is read again, from its beginning on."""
    first, *_ = files(stack)
    flip(first, 300)
    shutil.rmtree(stack.paths.thehum / "witnessed")

    stack.start("thehum")
    with Humd(stack) as humd:
        humd.joined()
        stack.wait_for((stack.paths.thehum / TROUBLE).exists, "a log that found the rot")
        humd.append(99, EVENTS + 1, epoch="f")
        refused = humd.refused()
        page = humd.backfill(from_seq=EVENTS)
    assert stack.kill("thehum", signal.SIGTERM) == 0

    assert refused["refused"] == "log.unavailable"
    assert len(page["events"]) > 0
    assert told(stack, "status")["read_only"]["kind"] == "damaged"


def scrubbed(stack: Stack) -> Log:
    """A log whose sealed segments were read again, as once a day."""
    keyring = Keyring(stack.paths)
    log = Log(stack.paths.thehum, keyring.identity, later=keyring.chain.events)
    scrub, now = Scrub(log, now=0.0), EVERY_SECONDS
    while scrub.tick(now):
        pass
    assert not scrub.tick(now)  # not again the same day
    log.close()
    return log


def test_a_good_log_is_read_again_and_found_good(stack: Stack) -> None:
    assert scrubbed(stack).trouble is None


@pytest.mark.parametrize("what", ["flipped", "gone", "of another key"])
def test_old_segments_are_read_again_and_what_is_wrong_is_named(stack: Stack, what: str) -> None:
    first, *_ = files(stack)
    if what == "flipped":
        flip(first, 300)
    elif what == "gone":
        first.unlink()
    else:
        data, _ = unpack(first.read_bytes())
        changed = data.replace(b'"rid":"r7"', b'"rid":"r8"')
        packer = Packer(1)
        replace_private(first, packer.pack(changed) + packer.finish())

    log = scrubbed(stack)

    assert log.trouble is not None
    assert log.trouble.seq < segments_in(stack.paths.thehum)[-1]
    assert (stack.paths.thehum / TROUBLE).exists()


def test_a_gap_that_is_known_is_no_damage(stack: Stack) -> None:
    _, second, *_ = files(stack)
    flip(second, 200)
    told(stack, "repair")

    assert scrubbed(stack).trouble is None


def test_a_log_that_was_taken_away_whole_does_not_begin_anew_in_silence(stack: Stack) -> None:
    shutil.rmtree(stack.paths.thehum)

    stack.start("thehum")
    with Humd(stack) as humd:
        hello = humd.joined()
    stack.kill("thehum", signal.SIGTERM)
    done = told(stack, "restore", "--yes", "--reason", "begun anew")
    stack.start("thehum")
    with Humd(stack) as humd:
        again = humd.joined()
    stack.kill("thehum", signal.SIGTERM)

    assert hello["trouble"]["kind"] == "rolled-back"
    assert (done["kept_seq"], done["old"]["seq"]) == (BEGUN, EVENTS + BEGUN)
    assert again["state"] == "writable"
    assert told(stack, "verify", "--full")["ok"]
