"""Where the door is found, who may be there, and what it leaves behind (docs/wire.md 2.5)."""

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from tests.support.stack import REPOSITORY, Stack

pytestmark = pytest.mark.process

SEEKERS = (
    """from os import environ
from hum.rendezvous import door_path
from nest.paths import Paths
print(door_path(Paths.from_environment(environ), environ))""",
    """from thrum_client import default_socket_path
print(default_socket_path())""",
)
"""What the command line and the generated client do."""


@pytest.fixture
def stack(home: Path) -> Iterator[Stack]:
    with Stack(home, services=()) as stack:
        yield stack


def start(stack: Stack) -> None:
    stack.start("thrumd")
    stack.wait_for(lambda: answers(stack.paths.thrum_socket), "answer at the door")
    stack.wait_for(lambda: names(stack, stack.pid("thrumd")), "runtime.json that names the door")


def linked(stack: Stack) -> None:
    """The links are made last."""
    stack.wait_for(lambda: answers(link_of(stack)), "answer at the link")


def names(stack: Stack, pid: int) -> bool:
    """Whether runtime.json is there and names this process; it is written after listening."""
    return stack.paths.runtime_json.exists() and runtime(stack)["pid"] == pid


def answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


def link_of(stack: Stack) -> Path:
    return stack.home / "run" / "hum" / "thrum.sock"


def runtime(stack: Stack) -> dict[str, object]:
    found: dict[str, object] = orjson.loads(stack.paths.runtime_json.read_bytes())
    return found


def test_a_running_door_is_private_and_says_where_it_is(stack: Stack) -> None:
    """Reliability A1; thrum 2.1 to 2.3."""
    start(stack)

    path = stack.paths.thrum_socket
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    found = runtime(stack)
    assert found["socket"] == str(path)
    assert found["pid"] == stack.pid("thrumd")
    assert found["thrum_version"] == "0.7.0"
    assert found["ensemble_addrs"] == []
    linked(stack)


def test_an_orderly_end_leaves_nothing_behind(stack: Stack) -> None:
    start(stack)

    assert stack.kill("thrumd", signal.SIGTERM) == 0

    assert not os.path.lexists(stack.paths.thrum_socket)
    assert not stack.paths.runtime_json.exists()
    assert not os.path.lexists(link_of(stack))


def test_after_a_crash_the_next_door_takes_the_place(stack: Stack) -> None:
    start(stack)
    stack.kill("thrumd", signal.SIGKILL)
    assert os.path.lexists(stack.paths.thrum_socket)

    start(stack)

    assert runtime(stack)["pid"] == stack.pid("thrumd")
    linked(stack)


@pytest.mark.parametrize("seeker", SEEKERS)
def test_clients_find_a_door_that_came_back_elsewhere(stack: Stack, seeker: str) -> None:
    """Features A2: by runtime.json, without a flag; one whose process is dead is not believed."""
    start(stack)
    elsewhere = stack.home / "run" / "elsewhere" / "s"
    stack.kill("thrumd", signal.SIGKILL)
    dead = found_by(stack, seeker)
    stack.start("thrumd", env={"HUM_THRUM_SOCK": str(elsewhere)})
    stack.wait_for(lambda: names(stack, stack.pid("thrumd")), "a door that says where it is")

    assert dead == str(stack.paths.thrum_socket)
    assert found_by(stack, seeker) == str(elsewhere)
    assert answers(elsewhere)


def found_by(stack: Stack, seeker: str) -> str:
    """Where a client library looks for the door."""
    paths = f"{REPOSITORY / 'services'}:{REPOSITORY / 'clients' / 'python'}"
    done = subprocess.run(
        [sys.executable, "-c", seeker],
        env={**stack.env, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_a_second_door_refuses_to_start_and_touches_nothing(stack: Stack, home: Path) -> None:
    """The second has a state of its own and is told to use the first one's socket."""
    start(stack)
    first = runtime(stack)
    other = home / "other"
    other.mkdir()

    with Stack(other, services=(), env={"HUM_THRUM_SOCK": first["socket"]}) as second:  # type: ignore[dict-item]
        second.start("thrumd")
        assert second.wait_exit("thrumd") == 78
        assert "another daemon answers" in second.log("thrumd")

    assert runtime(stack) == first
    assert answers(stack.paths.thrum_socket)


def test_a_second_door_of_one_state_names_the_first(stack: Stack) -> None:
    start(stack)
    first = stack.pid("thrumd")

    stack.start("thrumd", instance="second")

    assert stack.wait_exit("second") == 78
    assert str(first) in stack.log("second")
    assert answers(stack.paths.thrum_socket)


@pytest.mark.parametrize("kind", ["file", "directory", "link"])
def test_what_is_no_socket_is_never_removed(stack: Stack, kind: str) -> None:
    path = stack.paths.thrum_socket
    path.parent.mkdir(mode=0o700, parents=True)
    match kind:
        case "file":
            path.write_text("precious")
        case "directory":
            path.mkdir()
        case _:
            path.symlink_to(stack.home)

    stack.start("thrumd")

    assert stack.wait_exit("thrumd") == 78
    assert "is no socket" in stack.log("thrumd")
    assert os.path.lexists(path)


def test_a_directory_open_to_others_is_refused(stack: Stack) -> None:
    shared = stack.home / "shared"
    shared.mkdir()
    shared.chmod(0o755)

    stack.start("thrumd", env={"HUM_THRUM_SOCK": str(shared / "s")})

    assert stack.wait_exit("thrumd") == 78
    assert "chmod 700" in stack.log("thrumd")


def test_a_foreign_link_stays_and_the_door_serves_all_the_same(stack: Stack) -> None:
    link = link_of(stack)
    link.parent.mkdir(mode=0o700)
    link.write_text("not a link")

    start(stack)
    stack.wait_for(lambda: "door.no_link" in stack.log("thrumd"), "a word about the link")

    assert link.read_text() == "not a link"


def test_a_link_to_another_living_door_stays(stack: Stack, home: Path) -> None:
    living = home / "l"
    link = link_of(stack)
    link.parent.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(living))
        listener.listen()
        link.symlink_to(living)

        start(stack)
        stack.kill("thrumd", signal.SIGTERM)

    assert link.readlink() == living


def test_what_belongs_to_a_later_door_is_not_removed(stack: Stack) -> None:
    start(stack)
    later = {**runtime(stack), "pid": 1}
    stack.paths.runtime_json.write_bytes(orjson.dumps(later))

    assert stack.kill("thrumd", signal.SIGTERM) == 0

    assert runtime(stack) == later
