"""A bee that gave up waiting for the answer to its hello, and said it again."""

import signal

import psutil
import pytest
import zmq
from tests.support.bees import identity_named
from tests.support.peer import Peer
from tests.support.stack import Stack

from nest.link import Joined, Link
from nest.sockets import Poll
from thrum.ids import mint_humid

pytestmark = pytest.mark.process

REPLY_MS = 10_000


class Bee:
    """One instance, and a connection at a time; what it sent leaves even when it is closed."""

    def __init__(self, endpoint: str) -> None:
        identity = identity_named("patient")
        instance = mint_humid(1, b"p" * 26)
        hello = {"bee": ["worker"], "hive": "patient", "models": ["m"]}
        self.link = Link(identity.hid, identity.key, instance, lambda: hello)
        self._endpoint = endpoint

    def open(self) -> None:
        """A new connection, and the first word on it."""
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, REPLY_MS)
        self._socket.setsockopt(zmq.RECONNECT_IVL, -1)
        self._socket.connect(self._endpoint)
        self.link.opened()
        self._socket.send(self.link.take() or b"")

    def challenged(self) -> bytes:
        """The proof that humd's answer asks for; not sent yet."""
        while (proof := self.link.take()) is None:
            assert self._hear() == []
        return proof

    def prove(self, proof: bytes) -> None:
        self._socket.send(proof)

    def joined(self) -> Joined:
        """Humd's answer to the proof."""
        while not (events := self._hear()):
            pass
        (joined,) = events
        assert isinstance(joined, Joined)
        return joined

    def _hear(self) -> list[object]:
        """What the next frame means; an empty one, by which humd looks who is there, nothing."""
        assert self._socket.poll(REPLY_MS), "humd says nothing"
        return list(self.link.receive(self._socket.recv()))

    def close(self) -> None:
        self.link.closed()
        self._socket.close()


def is_stopped(stack: Stack) -> bool:
    return psutil.Process(stack.pid("humd")).status() == psutil.STATUS_STOPPED


def wait_until_open(stack: Stack) -> None:
    """Return once humd has replayed its log."""
    probe = Peer(stack.paths.bus_endpoint, Poll(), {"bee": ["asker"], "hive": "probe"})
    probe.join()
    probe.leave()


def test_a_bee_that_said_hello_again_meanwhile_is_not_given_up() -> None:
    with Stack(services=("thehum", "humd")) as stack:
        wait_until_open(stack)
        bee = Bee(stack.paths.bus_endpoint)
        bee.open()
        bee.prove(bee.challenged())
        bee.joined()
        stack.restart("humd", signal.SIGKILL)
        bee.close()
        wait_until_open(stack)

        bee.open()
        proof = bee.challenged()
        stack.send_signal("humd", signal.SIGSTOP)
        stack.wait_for(lambda: is_stopped(stack), "stop")
        bee.prove(proof)
        bee.close()
        bee.open()
        stack.send_signal("humd", signal.SIGCONT)
        bee.prove(bee.challenged())
        joined = bee.joined()
        bee.close()

    assert joined.is_resumed
