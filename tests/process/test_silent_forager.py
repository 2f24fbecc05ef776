"""A bee that is stopped in the middle of a call answers nothing at all: it counts as gone."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.ndjson import Client, Flat
from tests.support.stack import CORE, QUIET_SETTINGS, Stack

pytestmark = [pytest.mark.process, pytest.mark.timeout(60)]

BEAT_MS = 50
"""The shortest there is: the bound for silence is then the lowest, too."""
SILENCE_SECONDS_LONG = 20.0


@pytest.fixture
def stack(home: Path) -> Iterator[Stack]:
    root = home / "code"
    root.mkdir()
    (root / "a.txt").write_text("one line\n")
    humd = {**QUIET_SETTINGS["humd"], "droneBeatMs": BEAT_MS}
    settings: dict[str, Any] = {
        **QUIET_SETTINGS,
        "humd": humd,
        "fs": {"roots": [{"path": str(root)}]},
    }
    with Stack(home, (*CORE, "humfs"), settings=settings) as stack:
        stack.wait_bee("humfs")
        yield stack


def call(stack: Stack, caller: Client, call_id: str) -> None:
    arguments = {"file_path": str(stack.home / "code" / "a.txt")}
    caller.send(chi="tool-call", sid="s", callId=call_id, name="humfs_read", input=arguments)


def answer(caller: Client, call_id: str) -> Flat:
    tones = iter(caller.read, None)
    ends = ("tool-result", "error")
    return next(one for one in tones if one["chi"] in ends and one["callId"] == call_id)


def test_a_stopped_forager_is_given_up_told_and_welcome_again(stack: Stack) -> None:
    with stack.client(reply_seconds=SILENCE_SECONDS_LONG) as caller:
        call(stack, caller, "before")
        before = answer(caller, "before")
        stack.send_signal("humfs", signal.SIGSTOP)
        call(stack, caller, "meanwhile")

        lost = answer(caller, "meanwhile")
        stack.wait_for(lambda: "humfs" not in stack.hives(), "a list of bees without it")
        call(stack, caller, "nobody")
        nobody = answer(caller, "nobody")
        stack.send_signal("humfs", signal.SIGCONT)
        stack.wait_bee("humfs")
        call(stack, caller, "after")
        after = answer(caller, "after")

    assert (before["chi"], after["chi"]) == ("tool-result", "tool-result")
    assert (lost["chi"], lost["qualifier"]) == ("error", "tool.forager-lost")
    assert "does not answer" in lost["message"]
    assert (nobody["chi"], nobody["qualifier"]) == ("error", "tool.unknown")


def test_a_forager_that_is_killed_in_a_call_is_told_at_once(stack: Stack) -> None:
    """Features A14: the end of a process is not waited for by any beat."""
    with stack.client() as caller:
        stack.send_signal("humfs", signal.SIGSTOP)
        call(stack, caller, "c")
        stack.kill("humfs")

        lost = answer(caller, "c")

    assert (lost["chi"], lost["qualifier"]) == ("error", "tool.forager-lost")
