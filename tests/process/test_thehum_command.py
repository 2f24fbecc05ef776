"""`hum thehum`: offline, from the files alone."""

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.unit.thehum.chains import AUTHOR, append, identity

from thehum.core.names import segment_name
from thehum.edge.log import Log

pytestmark = pytest.mark.process
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def root(home: Path) -> Path:
    return home / "state" / "hum" / "thehum"


def fill(root: Path, groups: int = 5, **options: Any) -> None:
    root.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = Log(root, identity(), **{"segment_bytes": 8192, **options})
    for _ in range(groups):
        append(log, 4)
    log.close()


def hum(*arguments: str, program: str = "main") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", f"from hum.__main__ import {program}; {program}()", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "services"), "TZ": "UTC"},
    )


def compressed(root: Path) -> None:
    """A log of several segments, all compressed but the open one."""
    root.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = Log(root, identity(), segment_bytes=8192, segment_events=12)
    for _ in range(15):
        append(log, 4)
    while log.compress():
        pass
    log.close()


def test_a_good_log_gets_one_line_and_success(root: Path) -> None:
    fill(root)

    for arguments in (["verify"], ["verify", "--full"]):
        done = hum("thehum", *arguments)

        assert (done.returncode, done.stdout) == (0, "20 events, chain ok, signatures ok\n")
        assert done.stderr == ""


def test_damage_is_named_and_fails(root: Path) -> None:
    fill(root)
    path = root / segment_name(1)
    path.write_bytes(path.read_bytes().replace(b'"token 6"', b'"token 7"'))

    plain = hum("thehum", "verify")
    told = hum("thehum", "verify", "--json")

    assert plain.returncode == told.returncode == 1
    assert plain.stdout.startswith(
        "damaged at event 6: the content is not what was hashed and signed"
    )
    assert orjson.loads(told.stdout)["damage"] == {
        "seq": 6,
        "flaw": "content",
        "reason": "the content is not what was hashed and signed",
        "group_first_seq": 5,
    }
    assert orjson.loads(told.stdout)["ok"] is False


def test_only_a_full_verification_finds_a_covered_signature_that_changed(root: Path) -> None:
    fill(root)
    path = root / segment_name(1)
    data = path.read_bytes()
    at = data.index(b'"sig":"') + 10
    path.write_bytes(data[:at] + (b"0" if data[at : at + 1] != b"0" else b"1") + data[at + 1 :])

    assert hum("thehum", "verify").returncode == 0
    full = hum("thehum", "verify", "--full")

    assert full.returncode == 1
    assert full.stdout.startswith("damaged at event 4: the signature does not verify")


def test_a_log_cut_short_fails(root: Path) -> None:
    fill(root)
    (root / "seq.bin").write_bytes((30).to_bytes(8, "big"))

    done = hum("thehum", "verify")

    assert done.returncode == 1
    assert done.stdout.startswith("damaged at event 21: missing")


def test_the_verdict_takes_no_lock_and_tolerates_a_writer(root: Path) -> None:
    fill(root)
    log = Log(root, identity(), segment_bytes=8192)
    append(log, 1)

    done = hum("thehum", "verify")

    log.close()
    assert (done.returncode, done.stdout) == (0, "21 events, chain ok, signatures ok\n")


def test_a_write_that_goes_on_is_no_damage(root: Path) -> None:
    fill(root, groups=2, segment_bytes=65_536)
    path = root / segment_name(1)
    data = path.read_bytes()
    path.write_bytes(data.rstrip(b"\0")[:-40] + bytes(60_000))
    (root / "seq.bin").write_bytes((4).to_bytes(8, "big"))

    done = hum("thehum", "verify", "--json")

    assert done.returncode == 0
    assert orjson.loads(done.stdout)["unfinished_bytes"] > 0


def test_status_says_whose_log_it_is_and_how_far_it_goes(root: Path) -> None:
    fill(root)

    told = orjson.loads(hum("thehum", "status", "--json").stdout)

    assert told["author"] == AUTHOR
    assert (told["first_seq"], told["last_seq"], told["events"]) == (1, 20, 20)
    assert told["remembered_seq"] == 20
    assert told["segments"] == len(list(root.glob("0*.ndjson")))
    assert AUTHOR in hum("thehum", "status").stdout


@pytest.mark.parametrize("verb", [["status"], ["tail"], ["range", "--from", "1"], ["verify"], []])
def test_without_a_log_each_verb_fails_and_says_how_to_get_one(home: Path, verb: list[str]) -> None:
    done = hum("thehum", *verb)

    assert done.returncode == 1
    assert "there is no log" in done.stderr
    assert done.stderr.rstrip().endswith("hum up")


def test_tail_shows_the_newest_events_on_a_line_each(root: Path) -> None:
    fill(root)

    lines = hum("thehum", "tail", "-n", "3").stdout.splitlines()

    assert len(lines) == 3
    assert lines[-1].split(maxsplit=6) == [
        "20", "2023-11-14", "22:13:20.016", "chunk", "hum-X", "r20", '{"delta":"token 20"}',
    ]  # fmt: skip


def test_tail_in_json_prints_stored_lines(root: Path) -> None:
    fill(root)

    lines = hum("thehum", "tail", "-n", "2", "--json").stdout.splitlines()

    stored = b"".join(path.read_bytes() for path in sorted(root.glob("0*.ndjson")))
    assert all(line.encode() in stored for line in lines)
    assert [orjson.loads(line)["seq"] for line in lines] == [19, 20]


def test_tail_picks_by_chi_and_sid(root: Path) -> None:
    fill(root)

    assert len(hum("thehum", "tail", "--sid", "hum-X", "--chi", "chunk").stdout.splitlines()) == 20
    assert hum("thehum", "tail", "--sid", "other").stdout == ""


def test_what_a_terminal_would_obey_is_not_printed(root: Path) -> None:
    root.parent.mkdir(mode=0o700, parents=True)
    log = Log(root, identity(), segment_bytes=8192)
    hostile: dict[str, Any] = {"\x1b[2J": "\x9b31m"}
    append(log, 1, **hostile)
    log.close()

    printed = hum("thehum", "tail").stdout

    assert "\x1b" not in printed
    assert "\x9b" not in printed


def test_without_a_log_none_is_made_by_a_repair(root: Path) -> None:
    done = hum("thehum", "repair")

    assert (done.returncode, done.stderr) == (1, f"hum: there is no log in {root}\n  hum up\n")
    assert not root.parent.exists()


def test_who_follows_a_log_that_is_not_there_is_told_so(root: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "hum", "tail", "-n", "1", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "services")},
    ) as following:
        assert following.stdout is not None
        assert following.stderr is not None
        said = following.stderr.readline()
        fill(root, groups=1)
        first = following.stdout.readline()
        following.send_signal(signal.SIGINT)

    assert said.startswith(b"there is no log in ")
    assert first
    assert following.returncode == 130


def test_tail_follows_into_the_next_segment(root: Path) -> None:
    fill(root, groups=1, segment_events=4)
    with subprocess.Popen(
        [sys.executable, "-m", "hum", "thehum", "tail", "-f", "-n", "1", "--json"],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "services")},
    ) as following:
        assert following.stdout is not None
        first = following.stdout.readline()
        log = Log(root, identity(), segment_bytes=8192, segment_events=4)
        append(log, 4)
        append(log, 4)
        seen = [orjson.loads(following.stdout.readline())["seq"] for _ in range(8)]
        log.close()
        following.send_signal(signal.SIGINT)

    assert orjson.loads(first)["seq"] == 4
    assert seen == list(range(5, 13))


def test_range_shows_what_was_asked_for(root: Path) -> None:
    fill(root)

    lines = hum("thehum", "range", "--from", "7", "--to", "11", "--json").stdout.splitlines()

    assert [orjson.loads(line)["seq"] for line in lines] == [7, 8, 9, 10, 11]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--from", "5", "--to", "4"],
        ["--from", "0"],
        ["--to", "4"],
        ["--from", "1", "--author", "humd_" + "0" * 64],
    ],
)
def test_a_bad_range_is_wrong_usage(root: Path, arguments: list[str]) -> None:
    fill(root)

    assert hum("thehum", "range", *arguments).returncode == 2


def test_humctl_thehum_is_one_line_on_the_health_of_the_log(root: Path) -> None:
    fill(root)

    good = hum("thehum", program="humctl")
    newest = sorted(root.glob("0*.ndjson"))[-1]
    newest.write_bytes(newest.read_bytes().replace(b'"token 20"', b'"token 21"'))
    bad = hum("thehum", program="humctl")

    assert good.returncode == 0
    assert "the newest 20 events, chain ok, signatures ok; " in good.stdout
    assert good.stdout.count("\n") == 1
    assert bad.returncode == 1


def test_every_verb_reads_compressed_segments(root: Path) -> None:
    compressed(root)
    assert len(list(root.glob("0*.packed"))) > 2

    assert hum("thehum", "verify", "--full").stdout == "60 events, chain ok, signatures ok\n"
    lines = hum("thehum", "range", "--from", "3", "--to", "59", "--json").stdout.splitlines()
    assert [orjson.loads(line)["seq"] for line in lines] == list(range(3, 60))
    lines = hum("thehum", "tail", "-n", "58", "--json").stdout.splitlines()
    assert [orjson.loads(line)["seq"] for line in lines] == list(range(3, 61))
    assert orjson.loads(hum("thehum", "status", "--json").stdout)["events"] == 60


def test_cat_prints_the_lines_of_segments_of_either_form(root: Path) -> None:
    compressed(root)
    files = [str(path) for path in sorted(root.glob("0*"))]

    done = hum("thehum", "cat", *files)

    assert done.returncode == 0
    assert done.stdout == hum("thehum", "range", "--from", "1", "--json").stdout


def test_cat_refuses_what_is_no_segment_with_a_sentence(tmp_path: Path) -> None:
    other = tmp_path / "notes"
    other.write_text("not a log\n")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    said = [hum("thehum", "cat", str(path)) for path in (tmp_path, other, pipe)]

    assert [done.returncode for done in said] == [1, 1, 1]
    assert [done.stderr.splitlines()[0].partition(" is no ")[2] for done in said] == [
        "file, so it is no segment",
        "segment: it does not begin as one",
        "file, so it is no segment",
    ]
    assert not any(done.stdout for done in said)


def test_cat_prints_what_is_readable_of_a_damaged_segment_and_says_so(root: Path) -> None:
    compressed(root)
    path = sorted(root.glob("0*.packed"))[0]
    whole = hum("thehum", "cat", str(path)).stdout
    path.write_bytes(path.read_bytes()[:-1] + b"x")

    done = hum("thehum", "cat", str(path))

    assert (done.returncode, done.stdout) == (1, whole)
    assert "not what was sealed" in done.stderr


def test_damage_in_a_compressed_segment_is_named_and_fails(root: Path) -> None:
    compressed(root)
    path = sorted(root.glob("0*.packed"))[1]
    data = path.read_bytes()
    path.write_bytes(data[:200] + bytes([data[200] ^ 1]) + data[201:])

    done = hum("thehum", "verify")

    assert done.returncode == 1
    assert done.stdout.startswith(f"damaged at event {int(path.name[:20])}: its compressed segment")


@pytest.mark.parametrize("from_seq", [1, 2, 1500, 1999, 2000])
def test_range_finds_its_place_in_a_large_plain_segment(root: Path, from_seq: int) -> None:
    root.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = Log(root, identity(), segment_bytes=4 << 20)
    for _ in range(20):
        append(log, 100, filler="x" * 800)
    log.close()

    told = hum("thehum", "range", "--from", str(from_seq), "--json").stdout.splitlines()

    assert [orjson.loads(line)["seq"] for line in told] == list(range(from_seq, 2001))


def test_on_a_terminal_a_long_verification_shows_how_far_it_is(root: Path) -> None:
    compressed(root)
    ours, theirs = pty.openpty()

    done = subprocess.run(
        [sys.executable, "-m", "hum", "thehum", "verify"],
        stdout=subprocess.PIPE,
        stderr=theirs,
        check=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "services")},
    )

    shown = os.read(ours, 65536).decode()
    os.close(theirs)
    os.close(ours)
    assert done.stdout == "60 events, chain ok, signatures ok\n"
    assert "[####" in shown
    assert "100%  60 events" in shown
    assert shown.endswith("\r\x1b[K")
