"""The XML-RPC client, against a supervisord that is a script."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nest.supervisor import Supervisor, SupervisorFault
from thrum.errors import DaemonAbsent

HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: text/xml\r\n\r\n"


@contextmanager
def supervisord(path: Path, answer: bytes) -> Iterator[list[bytes]]:
    """Answer one request at `path` and note what it said."""
    said: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(1)

        def serve() -> None:
            link, _ = listener.accept()
            with link:
                said.append(link.recv(65_536))
                link.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield said
        thread.join()


def value(inner: str) -> bytes:
    return (
        HEAD
        + (
            "<?xml version='1.0'?><methodResponse><params><param>"
            f"<value>{inner}</value></param></params></methodResponse>"
        ).encode()
    )


def test_maps_in_lists_are_read(tmp_path: Path) -> None:
    answer = value(
        "<array><data>"
        "<value><struct>"
        "<member><name>name</name><value><string>hum-scout &amp; co</string></value></member>"
        "<member><name>pid</name><value><int>42</int></value></member>"
        "<member><name>inner</name><value><struct>"
        "<member><name>on</name><value><boolean>1</boolean></value></member>"
        "</struct></value></member>"
        "</struct></value>"
        "<value><string></string></value>"
        "<value><array><data></data></array></value>"
        "</data></array>"
    )

    with supervisord(tmp_path / "s", answer):
        found = Supervisor(tmp_path / "s").call("x.y")

    assert found == [{"name": "hum-scout & co", "pid": 42, "inner": {"on": True}}, "", []]


def test_arguments_are_escaped(tmp_path: Path) -> None:
    with supervisord(tmp_path / "s", value("<boolean>0</boolean>")) as said:
        found = Supervisor(tmp_path / "s").call("a.b", "<&>", 3, True)

    assert found is False
    assert b"<string>&lt;&amp;></string>" in said[0]
    assert b"<int>3</int>" in said[0]
    assert b"<boolean>1</boolean>" in said[0]


@pytest.mark.parametrize(
    ("name", "told"), [(b"BAD_NAME", "BAD_NAME"), (b"SHUTDOWN_STATE", "is being stopped")]
)
def test_a_fault_is_told(tmp_path: Path, name: bytes, told: str) -> None:
    fault = (
        HEAD + b"<methodResponse><fault><value><struct><member><name>faultString</name>"
        b"<value><string>" + name + b"</string></value></member></struct></value></fault>"
        b"</methodResponse>"
    )

    with supervisord(tmp_path / "s", fault), pytest.raises(SupervisorFault, match=told):
        Supervisor(tmp_path / "s").call("a.b")


@pytest.mark.parametrize("answer", [b"HTTP/1.0 500 no\r\n\r\n", HEAD + b"<a>", b""])
def test_an_answer_that_is_none_is_a_fault(tmp_path: Path, answer: bytes) -> None:
    with supervisord(tmp_path / "s", answer), pytest.raises(SupervisorFault):
        Supervisor(tmp_path / "s").call("a.b")


def test_nobody_at_the_socket_means_hum_is_not_running(tmp_path: Path) -> None:
    with pytest.raises(DaemonAbsent):
        Supervisor(tmp_path / "s").programs()
    assert not Supervisor(tmp_path / "s").is_there()


def test_a_socket_that_may_not_be_opened_says_nothing_about_hum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refused(socket.socket):
        def connect(self, _: object) -> None:
            raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket, "socket", Refused)

    with pytest.raises(SupervisorFault, match="nobody can tell whether hum runs"):
        Supervisor(tmp_path / "s").programs()
