"""`hum logs`: files that grow and are put aside, and runs as supervisord tells of them."""

import time
from pathlib import Path

import pytest

from hum import log_lines
from hum.log_lines import LogFile
from hum.runs import read_run
from hum.service_logs import Logs, NoLog
from nest.paths import Paths


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "CET-1")
    time.tzset()


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = Paths.from_environment({"HOME": str(tmp_path)})
    paths.logs.mkdir(parents=True)
    return paths


@pytest.mark.parametrize(
    ("text", "event", "level", "said"),
    [
        ("INFO spawned: 'hum-one' with pid 7", "process.spawned", "info", "with pid 7"),
        (
            "WARN exited: hum-one (terminated by SIGKILL; not expected)",
            "process.exited", "warning", "terminated by SIGKILL; not expected",
        ),
        ("INFO stopped: hum-one (exit status 0)", "process.stopped", "info", "exit status 0"),
        (
            "INFO gave up: hum-one entered FATAL state, too many start retries too quickly",
            "process.gave_up", "info", "entered FATAL state, too many start retries too quickly",
        ),
        (
            "WARN killing 'hum-one' (7) with SIGKILL",
            "process.killing", "warning", "(7) with SIGKILL",
        ),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("utc")
def test_what_supervisord_says_of_a_run_is_told_in_the_shape_of_the_services(
    text: str, event: str, level: str, said: str
) -> None:
    assert read_run(f"2026-01-31 00:30:00,125 {text}") == {
        "ts": "2026-01-30T23:30:00.125Z", "level": level, "service": "one", "event": event,
        "said": said,
    }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31 09:00:00,125 INFO success: hum-one entered RUNNING state",
        "2026-01-31 09:00:00,125 INFO spawned: 'orch' with pid 7",
        "Traceback (most recent call last):",
        "",
    ],
)
def test_other_lines_of_supervisord_tell_of_no_run(text: str) -> None:
    assert read_run(text) is None


def test_lines_that_come_later_are_told_once_and_only_when_they_are_whole(tmp_path: Path) -> None:
    path = tmp_path / "one.log"
    log = LogFile(path)
    assert (log.tail(9), log.more()) == ([], [])

    path.write_bytes(b"a\nb\n")
    assert log.more() == [b"a", b"b"]
    with path.open("ab") as file:
        file.write(b"c\nhal")
    assert log.more() == [b"c"]
    with path.open("ab") as file:
        file.write(b"f\n")
    assert log.more() == [b"half"]
    assert log.more() == []


def test_a_file_that_is_put_aside_is_read_to_its_end_first(tmp_path: Path) -> None:
    path = tmp_path / "one.log"
    path.write_bytes(b"a\n")
    log = LogFile(path)
    assert log.tail(9) == [b"a"]

    with path.open("ab") as file:
        file.write(b"b\n")
    path.rename(tmp_path / "one.log.1")
    path.write_bytes(b"c\n")

    assert log.more() == [b"b", b"c"]
    assert LogFile(path).tail(9) == [b"a", b"b", b"c"]
    assert LogFile(path).tail(2) == [b"b", b"c"]


def test_a_line_without_an_end_is_told_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_lines, "MORE_BYTES_MAX", 4)
    path = tmp_path / "one.log"
    log = LogFile(path)
    log.tail(1)

    path.write_bytes(b"abcdef")

    assert (log.more(), log.more()) == ([b"abcd"], [])


@pytest.mark.usefixtures("utc")
def test_the_log_of_a_service_holds_its_runs_and_nobody_elses(paths: Paths) -> None:
    (paths.logs / "one.log").write_text(
        '{"ts":"2026-01-30T23:00:01.000Z","event":"a"}\n'
        '{"ts":"2026-01-30T23:00:04.000Z","event":"b"}\n'
    )
    (paths.logs / "supervisord.log").write_text(
        "2026-01-31 00:00:02,000 WARN exited: hum-one (exit status 3; not expected)\n"
        "2026-01-31 00:00:02,500 WARN exited: hum-two (exit status 4; not expected)\n"
        "2026-01-31 00:00:03,000 INFO spawned: 'hum-one' with pid 9\n"
    )

    def events(service: str | None) -> list[str]:
        return [entry.fields["event"] for entry in Logs(paths, service).tail(9)]

    assert events("one") == ["a", "process.exited", "process.spawned", "b"]
    assert events(None) == ["a", "process.exited", "process.exited", "process.spawned", "b"]
    assert events("supervisord") == ["text"] * 3
    with pytest.raises(NoLog, match="there are: one, supervisord"):
        Logs(paths, "two")


def test_following_takes_up_logs_that_were_not_there(paths: Paths) -> None:
    (paths.logs / "one.log").write_text('{"ts":"1","event":"a"}\n')
    logs = Logs(paths, None)
    assert len(logs.tail(9)) == 1

    (paths.logs / "two.log").write_text('{"ts":"2","event":"b"}\n')

    assert [entry.fields["event"] for entry in logs.more()] == ["b"]
    assert logs.more() == []
