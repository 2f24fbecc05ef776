"""Files computed from the log."""

import shutil
from pathlib import Path
from typing import Any

import orjson
import pytest

from humd.edge import drifts
from humd.edge.counters import SAVE_SECONDS, Counters
from humd.edge.drifts import DriftFiles

DAY_MS = 86_400_000
NOON_MS = 1_700_000_000_000 // DAY_MS * DAY_MS + DAY_MS // 2
DAY, NEXT_DAY = "2023-11-14", "2023-11-15"


def record(seq: int, at_ms: int = NOON_MS) -> dict[str, Any]:
    return {"sid": "s", "seq": seq, "ended_at": at_ms, "total_ms": 5}


def files(folder: Path, days: int = 30) -> DriftFiles:
    opened = DriftFiles(folder, retention_days=days)
    opened.open()
    return opened


def seqs(path: Path) -> list[int]:
    return [orjson.loads(line)["seq"] for line in path.read_bytes().splitlines()]


class TestTimingRecords:
    def test_go_to_the_day_they_ended_on(self, tmp_path: Path) -> None:
        drift = files(tmp_path / "drift")
        drift.add(record(1), NOON_MS)
        drift.add(record(2, NOON_MS + DAY_MS), NOON_MS + DAY_MS)
        drift.flush()

        assert seqs(tmp_path / f"drift/{DAY}.ndjson") == [1]
        assert seqs(tmp_path / f"drift/{NEXT_DAY}.ndjson") == [2]

    def test_are_written_once_however_often_a_replay_brings_them(self, tmp_path: Path) -> None:
        for _ in range(3):
            drift = files(tmp_path / "drift")
            for seq in (1, 5, 9):
                drift.add(record(seq), NOON_MS)
            drift.flush()

        assert seqs(tmp_path / f"drift/{DAY}.ndjson") == [1, 5, 9]

    def test_come_back_when_the_folder_was_deleted(self, tmp_path: Path) -> None:
        for _ in range(2):
            drift = files(tmp_path / "drift")
            for seq in (1, 5):
                drift.add(record(seq), NOON_MS)
            drift.flush()
            assert seqs(tmp_path / f"drift/{DAY}.ndjson") == [1, 5]
            shutil.rmtree(tmp_path / "drift")

    @pytest.mark.parametrize("torn", [b'{"seq":', b"\x00\x00", b'{"seq":9,"ended_at":1'])
    def test_a_torn_last_line_is_cut_off(self, tmp_path: Path, torn: bytes) -> None:
        path = tmp_path / f"{DAY}.ndjson"
        path.write_bytes(orjson.dumps(record(1)) + b"\n" + torn)
        tmp_path.chmod(0o700)

        drift = files(tmp_path)
        drift.add(record(1), NOON_MS)
        drift.add(record(2), NOON_MS)
        drift.flush()

        assert seqs(path) == [1, 2]

    def test_of_a_file_without_a_single_good_line_nothing_is_believed(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o700)
        (tmp_path / f"{DAY}.ndjson").write_bytes(b"[]\n7\nx\n{}\n")

        drift = files(tmp_path)
        drift.add(record(1), NOON_MS)
        drift.flush()

        assert (tmp_path / f"{DAY}.ndjson").read_bytes().splitlines()[-1].startswith(b"{")

    def test_of_days_gone_by_are_deleted_and_nothing_else(self, tmp_path: Path) -> None:
        drift = files(tmp_path / "drift", days=1)
        for name in ("2023-01-01.ndjson", "2023-11-12.ndjson", "2023-11-13.ndjson", "notes.txt"):
            (tmp_path / "drift" / name).touch()

        assert drift.prune(NOON_MS) == 2

        left = sorted(path.name for path in (tmp_path / "drift").iterdir())
        assert left == ["2023-11-13.ndjson", "notes.txt"]

    def test_of_days_gone_by_are_not_written_again(self, tmp_path: Path) -> None:
        drift = files(tmp_path / "drift", days=1)
        for back in (3, 2, 1, 0):
            drift.add(record(4 - back, NOON_MS - back * DAY_MS), NOON_MS)
        drift.flush()

        names = sorted(path.name for path in (tmp_path / "drift").iterdir())
        assert names == ["2023-11-13.ndjson", f"{DAY}.ndjson"]

    def test_beyond_the_bound_of_a_day_are_counted_and_dropped(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        size = len(orjson.dumps(record(1))) + 1
        monkeypatch.setattr(drifts, "DAY_BYTES_MAX", 3 * size)
        drift = files(tmp_path / "drift")

        for seq in range(1, 6):
            drift.add(record(seq), NOON_MS)
        drift.flush()
        drift.add(record(6), NOON_MS)
        drift.flush()

        assert seqs(tmp_path / f"drift/{DAY}.ndjson") == [1, 2, 3]
        assert drift.dropped == 3


class TestLifetimeCounters:
    def counters(self, folder: Path, counted: dict[str, int]) -> Counters:
        opened = Counters(folder / "penny.json", folder / "run/penny.json")
        opened.open(counted)
        return opened

    def shown(self, folder: Path) -> dict[str, int]:
        found: dict[str, int] = orjson.loads((folder / "penny.json").read_bytes())
        assert (folder / "run/penny.json").read_bytes() == (folder / "penny.json").read_bytes()
        return found

    def test_are_written_once_everything_counted_is_on_disk(self, tmp_path: Path) -> None:
        penny = self.counters(tmp_path, {})
        counted = {"blooms": 1}

        penny.tick(counted, next_seq=8, durable_seq=6, now=0)
        assert not (tmp_path / "penny.json").exists()
        counted["blooms"] = 2  # counted since, and not on disk yet
        penny.tick(counted, next_seq=9, durable_seq=7, now=1)

        assert self.shown(tmp_path) == {"blooms": 1}

    def test_are_written_every_ten_seconds_and_at_the_end(self, tmp_path: Path) -> None:
        penny = self.counters(tmp_path, {})
        penny.tick({"blooms": 1}, next_seq=2, durable_seq=1, now=0)
        penny.tick({"blooms": 2}, next_seq=3, durable_seq=2, now=SAVE_SECONDS - 1)
        assert self.shown(tmp_path) == {"blooms": 1}

        penny.tick({"blooms": 3}, next_seq=4, durable_seq=3, now=SAVE_SECONDS)
        assert self.shown(tmp_path) == {"blooms": 3}

        penny.close({"blooms": 4})
        assert self.shown(tmp_path) == {"blooms": 4}

    def test_come_back_from_the_log_when_the_files_were_deleted(self, tmp_path: Path) -> None:
        penny = self.counters(tmp_path, {"blooms": 7})

        penny.close({"blooms": 7})

        assert self.shown(tmp_path) == {"blooms": 7}

    def test_never_go_down_when_the_log_begins_anew(self, tmp_path: Path) -> None:
        (tmp_path / "penny.json").write_text('{"blooms": 9, "old": 2.7, "bad": -1}')
        penny = self.counters(tmp_path, {"blooms": 4})

        penny.close({"blooms": 5, "totalInputTokens": 3})

        assert self.shown(tmp_path) == {"blooms": 10, "old": 2, "totalInputTokens": 3}

    def test_of_an_older_hum_are_taken_over_from_its_place(self, tmp_path: Path) -> None:
        (tmp_path / "run").mkdir()
        (tmp_path / "run/penny.json").write_text('{"blooms": 3}')

        penny = self.counters(tmp_path, {})
        penny.close({"blooms": 1})

        assert self.shown(tmp_path) == {"blooms": 4}

    @pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff"])
    def test_a_broken_file_counts_as_none(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "penny.json").write_bytes(content)

        penny = self.counters(tmp_path, {"blooms": 2})
        penny.close({"blooms": 2})

        assert self.shown(tmp_path) == {"blooms": 2}
