"""Who waits for a client's leaving is told, once, and never too late."""

import socket

import pytest

from nest.listeners import Gone, listen
from thrum.errors import SettingsRefused


def test_a_listener_is_told_once_when_the_client_goes() -> None:
    gone, told = Gone(), list[str]()

    gone.tell(lambda: told.append("first"))
    gone.set()
    gone.set()

    assert gone.is_gone
    assert told == ["first"]


def test_who_asks_too_late_is_told_at_once() -> None:
    gone, told = Gone(), list[str]()

    gone.set()
    gone.tell(lambda: told.append("late"))

    assert told == ["late"]


def test_who_does_not_care_any_more_is_not_told() -> None:
    gone, told = Gone(), list[str]()

    gone.tell(lambda: told.append("never"))
    gone.tell(None)
    gone.set()

    assert told == []


def test_every_family_of_loopback_gets_the_same_port() -> None:
    sockets = listen("localhost", 0, setting="front.port")
    try:
        assert len({made.getsockname()[1] for made in sockets}) == 1
        assert sockets[0].getsockname()[0] == "127.0.0.1"
    finally:
        for made in sockets:
            made.close()


@pytest.mark.parametrize(
    ("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
)
def test_a_port_that_is_taken_in_either_family_is_refused(
    family: socket.AddressFamily, host: str
) -> None:
    with socket.create_server((host, 0), family=family) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(SettingsRefused) as caught:
            listen("127.0.0.1", port, setting="front.port")

    assert f"port {port} of {host} is taken" in caught.value.message
    assert "front.port" in caught.value.hint


def test_an_address_that_is_not_ours_is_refused_with_the_setting() -> None:
    with pytest.raises(SettingsRefused) as caught:
        listen("192.0.2.1", 0, setting="front.port")

    assert "front.port" in caught.value.hint
