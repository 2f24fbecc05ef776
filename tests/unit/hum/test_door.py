"""An echo at the door: found among other tones, and not waited for without an end."""

import socket
import threading
from collections.abc import Iterator

import pytest

from hum.door import Door, DoorSilent
from thrum.errors import DaemonAbsent
from thrum.lines import write_line
from thrum.tones import Tone

OTHER = write_line(Tone(chi="echo", rid="other", body={"ok": True}))


@pytest.fixture
def ends() -> Iterator[tuple[Door, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Door(ours), theirs


def test_an_echo_is_found_among_others(ends: tuple[Door, socket.socket]) -> None:
    door, theirs = ends
    theirs.sendall(OTHER + write_line(Tone(chi="breath", rid="r", body={})))
    theirs.sendall(write_line(Tone(chi="echo", rid="r", body={"ok": False, "error": "no"})))

    assert door.echo("r", within_seconds=10).body == {"ok": False, "error": "no"}


def test_other_tones_do_not_prolong_the_wait(ends: tuple[Door, socket.socket]) -> None:
    door, theirs = ends
    has_ended = threading.Event()

    def talk() -> None:
        theirs.settimeout(0.05)
        while not has_ended.is_set():
            try:
                theirs.send(OTHER)
            except TimeoutError:
                continue

    talker = threading.Thread(target=talk)
    talker.start()
    try:
        with pytest.raises(DoorSilent, match="not on disk"):
            door.echo("r", within_seconds=0.3)
    finally:
        has_ended.set()
        talker.join()


def test_a_door_that_closes_is_told(ends: tuple[Door, socket.socket]) -> None:
    door, theirs = ends
    theirs.close()

    with pytest.raises(DaemonAbsent):
        door.echo("r", within_seconds=10)
