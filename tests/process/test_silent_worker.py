"""A worker that is frozen in the middle of a turn: it is asked, given up, and welcome again."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.ndjson import Client
from tests.support.stack import CORE, QUIET_SETTINGS, Stack

pytestmark = [pytest.mark.process, pytest.mark.timeout(60)]

BEAT_MS = 400


@pytest.fixture
def stack(home: Path) -> Iterator[Stack]:
    humd = {**QUIET_SETTINGS["humd"], "droneBeatMs": BEAT_MS}
    with Stack(home, (*CORE, "scout"), settings={**QUIET_SETTINGS, "humd": humd}) as stack:
        stack.wait_bee("scout")
        yield stack


def ask(asker: Client, sid: str) -> None:
    asker.send(chi="prompt", rid=sid, sid=sid, modelId="scout", content="say hi")


def test_a_frozen_worker_is_given_up_and_serves_again_when_it_is_back(stack: Stack) -> None:
    """Features A17: one error, no silence, and nothing of the old turn afterwards."""
    with stack.client() as asker:
        stack.send_signal("scout", signal.SIGSTOP)
        ask(asker, "frozen")
        error = asker.read_until("error")
        stack.send_signal("scout", signal.SIGCONT)
        ask(asker, "frozen")
        finish = asker.read_until("finish")

    assert (error["qualifier"], error["code"]) == ("worker.lost", "worker_silent")
    assert finish["finishReason"] == "end_turn"


def test_the_turn_of_a_frozen_worker_goes_on_with_another(stack: Stack) -> None:
    """Features A17: raised again with the same sid."""
    with stack.client() as asker, stack.client() as other:
        stack.send_signal("scout", signal.SIGSTOP)
        ask(asker, "s")
        asker.read_until("echo", rid="s")
        other.send(chi="hello", hive="other", bee=["worker"], models=["scout"])
        prompt = other.read_until("prompt")
        other.send(chi="finish", sid=prompt["sid"], finishReason="end_turn")
        retrofit = asker.read_until("drone-retrofit")
        finish = asker.read_until("finish")
        stack.send_signal("scout", signal.SIGCONT)

    assert (prompt["sid"], prompt["content"]) == ("s", "say hi")
    assert "no sign of life" in retrofit["reason"]
    assert (finish["sid"], finish["from"]) == ("s", "daemon")


def test_no_worker_is_judged_while_the_log_is_away(stack: Stack) -> None:
    """No question would reach it, so it cannot be late with an answer."""
    patience = 6 * BEAT_MS / 1000
    with (
        stack.client() as worker,
        stack.client() as asker,
        stack.client(reply_seconds=patience) as idle,
    ):
        about = {"bee": ["worker"], "models": ["slow"], "chis": ["drone"]}
        worker.send(chi="hello", hive="slow", hid=f"wbee_{'5' * 64}", rid="h", **about)
        worker.read_until("echo", rid="h")
        asker.send(chi="prompt", rid="r", sid="s", modelId="slow", content="think")
        worker.read_until("prompt")
        assert idle.read()["chi"] == "breath"
        stack.send_signal("thehum", signal.SIGSTOP)
        with pytest.raises(TimeoutError):
            idle.read()
        stack.send_signal("thehum", signal.SIGCONT)
        worker.read_until("drone")
        worker.send(chi="drone", sid="s", health="alert")
        worker.send(chi="finish", sid="s", finishReason="end_turn")
        tones = iter(asker.read, None)
        ended = next(tone for tone in tones if tone["chi"] in ("finish", "error"))

    assert (ended["chi"], ended["finishReason"]) == ("finish", "end_turn")
