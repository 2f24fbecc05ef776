"""Which sid a conversation has: found again, held by one request, known after a restart."""

import errno
import os
from pathlib import Path

import pytest

from foragers.core.trails import Trail
from foragers.front import sessions as sessions_module
from foragers.front.sessions import Sessions
from nest.metrics import Registry


def digest(number: int) -> bytes:
    return number.to_bytes(16, "big")


def at(known: int | None) -> Trail:
    return Trail(digest(0), None if known is None else digest(known), None)


def test_a_conversation_is_held_by_one_request_and_found_when_it_is_free() -> None:
    sessions = Sessions(Registry())
    assert sessions.begin(at(None), None, "a") == ("chat-a", ())
    sessions.keep("chat-a", (digest(1),))

    assert sessions.begin(at(1), None, "b") == ("chat-a", (digest(1),))
    assert sessions.begin(at(1), None, "c") == ("chat-c", ())
    sessions.keep("chat-a", (digest(2),))

    assert sessions.begin(at(1), None, "d") == ("chat-d", ())
    assert sessions.begin(at(2), None, "e") == ("chat-a", (digest(2),))


def test_conversations_that_came_to_the_same_are_each_held_once() -> None:
    sessions = Sessions(Registry())
    for name in ("chat-a", "chat-b"):
        sessions.keep(name, (digest(1),))

    held = {sessions.begin(at(1), None, fresh)[0] for fresh in "xyz"}

    assert {"chat-a", "chat-b"} < held
    assert len(held) == 3


def test_the_answer_that_a_request_follows_is_looked_for_first() -> None:
    sessions = Sessions(Registry())
    sessions.keep("chat-a", (digest(1), digest(9)))
    sessions.keep("chat-b", (digest(2),))

    assert sessions.begin(at(2), digest(9), "x")[0] == "chat-a"
    assert sessions.begin(at(1), None, "y")[0] == "chat-y"


def test_a_named_conversation_moves_on_when_its_sid_cannot_be_used() -> None:
    sessions = Sessions(Registry())
    named = Trail(digest(0), None, "chat-n")

    assert sessions.begin(named, None, "x") == ("chat-n", ())
    sessions.retire("chat-n")
    assert sessions.begin(named, None, "x")[0] == "chat-n-1"
    sessions.retire("chat-n-1")
    assert sessions.begin(named, None, "x")[0] == "chat-n-2"


def test_what_conversations_came_to_survives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "front" / "sessions"
    sessions = Sessions(Registry(), path)
    sessions.keep("chat-a", (digest(1),))
    sessions.begin(at(1), None, "x")
    sessions.keep("chat-a", (digest(2), digest(3)))
    sessions.keep("chat-b", (digest(4),))
    with path.open("ab") as file:
        file.write(b"chat-c 00\nnonsense\n\xff\nchat-d 0000")  # a torn line, and a stranger's

    again = Sessions(Registry(), path)

    assert again.begin(at(1), None, "x")[0] == "chat-x"
    assert again.begin(at(3), None, "x")[0] == "chat-a"
    assert again.begin(at(4), None, "x")[0] == "chat-b"
    assert path.stat().st_mode & 0o777 == 0o600
    sessions.close()
    again.close()


def test_table_and_file_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions_module, "SESSIONS_MAX", 4)
    monkeypatch.setattr(sessions_module, "FILE_LINES_MAX", 10)
    monkeypatch.setattr(sessions_module, "RETIRED_MAX", 2)
    path, metrics = tmp_path / "sessions", Registry()
    tmp_path.chmod(0o700)
    sessions = Sessions(metrics, path)

    for number in range(100):
        sessions.keep(f"chat-{number}", (digest(number),))
        sessions.retire(f"chat-r{number}")

    assert sessions.begin(at(99), None, "x")[0] == "chat-99"
    assert sessions.begin(at(95), None, "x")[0] == "chat-x"
    assert len(path.read_bytes().splitlines()) <= 11
    (forgotten,) = [
        metric
        for metric in metrics.snapshot()
        if metric["name"] == "hum_front_sessions_forgotten_total"
    ]
    assert forgotten["samples"] == [{"labels": {}, "value": 96}]
    sessions.close()


def test_a_disk_that_takes_nothing_stops_nobody_and_once_it_does_the_file_is_whole(
    tmp_path: Path,
) -> None:
    tmp_path.chmod(0o700)
    path, now = tmp_path / "sessions", 100.0
    sessions = Sessions(Registry(), path, now=lambda: now)
    assert sessions._handle is not None
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, sessions._handle)
    os.close(full)

    sessions.keep("chat-a", (digest(1),))
    sessions.keep("chat-b", (digest(2),))

    assert sessions.begin(at(1), None, "x")[0] == "chat-a"
    assert path.read_bytes() == b""
    now += sessions_module.RETRY_SECONDS
    sessions.keep("chat-c", (digest(3),))
    sessions.keep("chat-d", (digest(4),))
    sessions.close()

    again = Sessions(Registry(), path)
    assert [again.begin(at(n), None, "new")[0] for n in (2, 3, 4)] == ["chat-b", "chat-c", "chat-d"]
    again.close()


def test_half_of_a_line_counts_as_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o700)
    path, now = tmp_path / "sessions", 100.0
    sessions = Sessions(Registry(), path, now=lambda: now)
    write = os.write
    with monkeypatch.context() as torn:
        torn.setattr(os, "write", lambda handle, data: write(handle, data[:9]))
        sessions.keep("chat-a", (digest(1),))
    now += sessions_module.RETRY_SECONDS
    sessions.keep("chat-b", (digest(2),))
    sessions.close()

    again = Sessions(Registry(), path)
    assert [again.begin(at(n), None, "new")[0] for n in (1, 2)] == ["chat-a", "chat-b"]
    again.close()


def test_a_file_that_cannot_be_written_again_is_read_and_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "front" / "sessions"
    before = Sessions(Registry(), path)
    before.keep("chat-a", (digest(1),))
    before.close()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sessions_module, "replace_private", full)
    after = Sessions(Registry(), path)

    assert after.begin(at(1), None, "b") == ("chat-a", (digest(1),))
    after.keep("chat-a", (digest(2),))
