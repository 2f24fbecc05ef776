"""Where commands look for the door, and what they hear there."""

import os
import socket
import threading
from pathlib import Path
from typing import Any

import orjson
import pytest

from hum.rendezvous import door_path, read_runtime, silence_of
from nest.paths import Paths

DEAD_PID = 2**22 + 1
"""Above every pid that Linux gives."""


@pytest.fixture
def paths(home: Path) -> Paths:
    found = Paths.from_environment(os.environ)
    found.state.mkdir(mode=0o700)
    return found


def publish(paths: Paths, **told: Any) -> None:
    runtime = {
        "socket": "/elsewhere/thrum.sock",
        "pid": os.getpid(),
        "version": "1",
        "thrum_version": "0.7.0",
        "bound_at_ms": 5,
        "ensemble_addrs": [],
    }
    paths.runtime_json.write_bytes(orjson.dumps({**runtime, **told}))


@pytest.mark.parametrize("name", ["HUM_THRUM_SOCK", "HUM_SOCKET"])
def test_the_environment_goes_before_everything(paths: Paths, name: str) -> None:
    """Features A2."""
    publish(paths)
    environ = {**os.environ, name: "/asked/thrum.sock"}

    assert door_path(Paths.from_environment(environ), environ) == Path("/asked/thrum.sock")


def test_a_humd_that_was_started_elsewhere_is_found(paths: Paths) -> None:
    """Features A2: without a flag."""
    assert door_path(paths, os.environ) == paths.state / "thrum.sock"

    publish(paths)

    assert door_path(paths, os.environ) == Path("/elsewhere/thrum.sock")


@pytest.mark.parametrize("pid", [DEAD_PID, 0, -1, 2**70])
def test_what_a_killed_process_left_behind_is_stale_and_never_dialled(
    paths: Paths, pid: int
) -> None:
    """Features A2."""
    publish(paths, pid=str(pid))

    told = read_runtime(paths)

    assert told is not None
    assert told.described()["stale"] is True
    assert door_path(paths, os.environ) == paths.state / "thrum.sock"


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b'{"socket":"/x"}', b"\xff" * 100_000]
)
def test_a_file_that_is_none_counts_as_absent(paths: Paths, content: bytes) -> None:
    paths.runtime_json.write_bytes(content)

    assert read_runtime(paths) is None


def test_a_relative_socket_is_no_address(paths: Paths) -> None:
    publish(paths, socket="thrum.sock")

    assert read_runtime(paths) is None


class TestTheDoor:
    def test_that_speaks_is_heard(self, home: Path) -> None:
        path = home / "s"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen()

            def greet() -> None:
                link, _ = listener.accept()
                with link:
                    link.sendall(b'{"chi":"breath"}\n')

            greeter = threading.Thread(target=greet)
            greeter.start()
            assert silence_of(path) == ""
            greeter.join()

    def test_that_is_not_there_or_dead_or_mute_is_named_so(
        self, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("hum.rendezvous.PROBE_SECONDS", 0.01)
        path = home / "s"
        assert silence_of(path) == "there is no socket"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            assert "left behind" in silence_of(path)
            listener.listen()
            assert "silent" in silence_of(path)
        assert "left behind" in silence_of(path)
