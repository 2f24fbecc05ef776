"""Two logs on one machine look after each other over the bus (reliability 4.5 and F8, features C9).

The mesh between them is the test: it carries questions and answers from one bus to the other, which
is all that a mesh has to do.
"""

import shutil
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import orjson
import pytest
from tests.support.humd import BEGUN, Humd
from tests.support.stack import Stack

from thehum.core.cosigned import read_cosigned, witness_name
from thehum.core.notes import open_checkpoint
from thehum.core.witness import cosigned_at
from thrum.chi import Chi
from thrum.frames import Header
from thrum.tones import Body

pytestmark = [pytest.mark.process, pytest.mark.timeout(60)]


class Machine:
    """One log, with the humd that a test plays for it."""

    def __init__(self, stack: Stack, humd: Humd) -> None:
        self.stack, self.humd = stack, humd
        self._batch = self._seq = 0

    def start(self) -> None:
        self.stack.start("thehum")
        hello = self.humd.joined()
        self.hid = hello["author"]
        self.pubkey = self.humd.backfill(sender="mesh")["pubkey"]
        self._seq = hello["head"]["seq"] - BEGUN

    def grows(self, count: int) -> None:
        self._batch += 1
        self.humd.append(self._batch, self._seq + 1, count, epoch="e")
        self.humd.durable(self._batch)
        self._seq += count

    def ask(self, chi: str, **body: Any) -> Body:
        self.humd.send(Header(chi, "q1", None, "mesh"), body)
        answer = self.humd.read(chi)
        assert (answer.rid, answer.to, answer.seq) == ("q1", "mesh", 0)
        assert answer.body.pop("answer") is True
        return answer.body

    def checkpoint(self, old: int = 0) -> Body:
        return self.ask(Chi.CHECKPOINT, old=old)

    def signs_for(self, head: Body) -> Body:
        """Ask for a signature, and play the log's own log where it has something to record."""
        body = {"note": head["note"], "pubkey": head["pubkey"], "proof": head.get("proof", [])}
        self.humd.send(Header(Chi.COSIGN, "q2", None, "mesh"), body)
        while True:
            tone = self.humd.read(Chi.COSIGN, Chi.WITNESSED)
            if tone.chi == Chi.COSIGN:
                assert tone.body.pop("answer") is True
                return tone.body
            self.records(tone.rid, tone.body, tone.seq)

    def records(self, rid: str | None, body: Body, number: int) -> None:
        """As humd: write down what the log says of itself, and settle it."""
        self._batch += 1
        self.humd.offer(
            self._batch, self._seq + 1, (Header(Chi.WITNESSED, rid, seq=number), body), client=None
        )
        self.humd.durable(self._batch)
        self._seq += 1
        self.humd.send(Header("credit"), {"upto": number, "refused": {}})

    def records_of_others(self) -> list[str]:
        return sorted(path.name for path in (self.stack.paths.thehum / "witnessed").iterdir())


@pytest.fixture
def machines() -> Iterator[tuple[Machine, Machine]]:
    with ExitStack() as stack:
        made = []
        for _ in range(2):
            home = stack.enter_context(Stack(services=()))
            made.append(Machine(home, stack.enter_context(Humd(home))))
            made[-1].start()
        yield made[0], made[1]


def test_each_signs_for_the_other_as_long_as_it_only_grows(
    machines: tuple[Machine, Machine],
) -> None:
    for log, witness in (machines, machines[::-1]):
        held = 0
        for count in (1, 300, 700):
            log.grows(count)
            head = log.checkpoint(old=held)
            signed = witness.signs_for(head)
            held = head["size"]

            note = signed["note"] + signed["cosignature"]
            public = bytes.fromhex(witness.pubkey)
            assert open_checkpoint(note, public=bytes.fromhex(log.pubkey)).size == held
            assert cosigned_at(note, name=witness_name(witness.hid), public=public)
            kept = log.ask(Chi.CHECKPOINT, **signed)
            assert kept == {"witness": witness.hid, "size": held}
        (path,) = (log.stack.paths.thehum / "cosigned").iterdir()
        stored = read_cosigned(orjson.loads(path.read_bytes()), public=bytes.fromhex(log.pubkey))
        assert (stored.witness, stored.size) == (witness.hid, held)


def test_a_head_without_its_proof_gets_no_signature_but_the_size_that_is_held(
    machines: tuple[Machine, Machine],
) -> None:
    log, witness = machines
    log.grows(5)
    witness.signs_for(log.checkpoint())
    log.grows(5)

    refused = witness.signs_for({**log.checkpoint(old=5), "proof": []})
    signed = witness.signs_for(log.checkpoint(old=refused["size"]))

    assert refused["size"] == 5 + BEGUN
    assert "cosignature" not in refused
    assert signed["size"] == 10 + BEGUN


def test_a_log_that_was_rewritten_is_caught_and_the_evidence_outlives_everything(
    machines: tuple[Machine, Machine],
) -> None:
    """`features C9`: A rewriting its own history is caught by B's next check."""
    log, witness = machines
    log.grows(5)
    head = log.checkpoint()
    witness.signs_for(head)
    log.stack.kill("thehum", signal.SIGKILL)
    shutil.rmtree(log.stack.paths.thehum)
    log.stack.paths.thehum_head.unlink(missing_ok=True)  # it is written now and then
    log.start()
    log.grows(3)
    log.grows(2)

    caught = witness.signs_for(log.checkpoint())
    record = witness.humd.read(Chi.WITNESSED)
    witness.records(record.rid, record.body, record.seq)
    witness.stack.kill("thehum", signal.SIGKILL)
    witness.start()
    again = witness.signs_for(head)
    witness.stack.kill("thehum", signal.SIGKILL)
    shutil.rmtree(witness.stack.paths.thehum / "witnessed")
    witness.start()
    witness.humd.backfill()
    while "message" in (from_the_log := witness.signs_for(head)):
        pass  # while the log is read for it

    assert caught["conflict"] == again["conflict"] == from_the_log["conflict"]
    assert caught["conflict"][0] == head["note"]
    for note in caught["conflict"]:
        assert open_checkpoint(note, public=bytes.fromhex(log.pubkey)).size == 5 + BEGUN
    assert f"{log.hid}.conflict.json" in witness.records_of_others()


def test_what_is_held_outlives_a_kill_and_the_loss_of_its_files(
    machines: tuple[Machine, Machine],
) -> None:
    log, witness = machines
    log.grows(5)
    witness.signs_for(log.checkpoint())
    log.grows(5)
    for lose in (False, True):
        witness.stack.kill("thehum", signal.SIGKILL)
        if lose:
            shutil.rmtree(witness.stack.paths.thehum / "witnessed")
        witness.start()
        witness.humd.backfill()
        while "message" in (refused := witness.signs_for({**log.checkpoint(), "proof": []})):
            pass  # while the log is read for it

        assert refused["size"] == 5 + BEGUN
    assert witness.records_of_others() == [f"{log.hid}.json"]


def test_nothing_is_signed_before_the_log_has_it(machines: tuple[Machine, Machine]) -> None:
    """`reliability 4.5`: append, wait until that is durable, and only then sign."""
    log, witness = machines
    log.grows(5)
    head = log.checkpoint()
    body = {"note": head["note"], "pubkey": head["pubkey"]}
    witness.humd.send(Header(Chi.COSIGN, "q2", None, "mesh"), body)
    record = witness.humd.read(Chi.COSIGN, Chi.WITNESSED)
    busy = witness.ask(Chi.COSIGN, **body)
    witness.humd.backfill()

    assert record.chi == Chi.WITNESSED
    assert busy["qualifier"] == "queue.overflow"
    assert witness.records_of_others() == []
    witness.records(record.rid, record.body, record.seq)
    assert "cosignature" in witness.humd.read(Chi.COSIGN).body
    assert witness.records_of_others() == [f"{log.hid}.json"]


def test_what_is_no_question_is_declined_with_a_reason(machines: tuple[Machine, Machine]) -> None:
    log, _ = machines
    first = log.checkpoint()
    log.grows(3)

    answers = [
        log.checkpoint(old=-1),
        log.ask(Chi.CHECKPOINT, old="three"),
        log.ask(Chi.CHECKPOINT, cosignature="— x y", note="x", pubkey="zz"),
        log.ask(Chi.COSIGN),
        log.ask(Chi.COSIGN, note="hum", pubkey="00" * 32),
        log.ask(Chi.COSIGN, note=log.checkpoint()["note"], pubkey=log.pubkey),
    ]

    assert first["size"] == BEGUN
    assert {answer["qualifier"] for answer in answers} == {"tone.malformed"}
    assert all(answer["message"] for answer in answers)
    assert "proof" not in log.checkpoint(old=99)
