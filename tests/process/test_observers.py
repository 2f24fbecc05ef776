"""Observers on real processes: late ones hear each earlier tone once, and who listens only listens.

Features A16, humd 7.
"""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.ndjson import Client, Flat
from tests.support.originals import rust_worker_hello
from tests.support.stack import Stack

pytestmark = [pytest.mark.process, pytest.mark.timeout(60)]

MODEL = "observed"
SID = "watched"
EARLY = 6_000
"""Chunks before anyone attaches: more than humd sends ahead, so that reading them takes a while."""
LATER = 50
DRIVERS = ("prompt", "cancel", "cleanup", "curate", "release-permit", "petal-cell")
OWN = ("from", "to", "sigil")
"""In what the transcripts of a driver and an observer may differ."""


@pytest.fixture
def stack(home: Path) -> Iterator[Stack]:
    with Stack(home) as stack:
        yield stack


def started(worker: Client, asker: Client) -> None:
    worker.send(**rust_worker_hello(MODEL, MODEL))
    worker.read_until("breath"), worker.read_until("breath")
    asker.send(chi="prompt", sid=SID, modelId=MODEL, content="hi")
    worker.read_until("prompt")


def say(worker: Client, first: int, count: int) -> None:
    chunk = '{"chi":"chunk","sid":"%s","chunkType":"text_delta","blockIdx":0,"delta":"%d,"}\n'
    worker.send_raw("".join(chunk % (SID, n) for n in range(first, first + count)).encode())


def settle(worker: Client, rid: str) -> None:
    """Wait until everything that the worker said is in the log."""
    worker.send(chi="pulse", rid=rid, sid=SID, kind="cell-ready")
    assert worker.read_until("echo", rid=rid)["ok"] is True


def transcript(client: Client) -> list[Flat]:
    """What a client hears on the sid up to the finish."""
    tones: list[Flat] = []
    while not tones or tones[-1]["chi"] != "finish":
        tone = client.read()
        if tone.get("sid") == SID:
            tones.append(tone)
    return tones


def text(tones: list[Flat]) -> str:
    return "".join(tone["delta"] for tone in tones if tone["chi"] == "chunk")


def wanted(count: int) -> str:
    return "".join(f"{number}," for number in range(count))


def test_a_late_observer_hears_each_earlier_tone_once_though_humd_dies_meanwhile(
    stack: Stack,
) -> None:
    """It is killed with kill -9 while half of what was said is still to be read to the observer."""
    with stack.client() as worker, stack.client() as asker, stack.client() as late:
        started(worker, asker)
        say(worker, 0, EARLY)
        settle(worker, "early")
        late.send(chi="attach", rid="a", sid=SID, hearOnly=True, wane=0)
        assert late.read_until("echo", rid="a")["ok"] is True
        stack.send_signal("thrumd", signal.SIGSTOP)  # no more is read to it than a window

        stack.kill("humd")
        stack.start("humd")
        stack.send_signal("thrumd", signal.SIGCONT)
        say(worker, EARLY, LATER)
        worker.send(chi="finish", sid=SID, finishReason="end_turn")

        heard = transcript(late)
        assert text(heard) == wanted(EARLY + LATER)
        wanes = [tone["wane"] for tone in heard]
        assert wanes == sorted(set(wanes))
        assert text(transcript(asker)) == wanted(EARLY + LATER)


def test_driver_and_late_observer_hear_the_same_and_then_the_live_tail(stack: Stack) -> None:
    with stack.client() as worker, stack.client() as asker, stack.client() as late:
        started(worker, asker)
        worker.send(chi="session-ready", sid=SID, nestId="n", model=MODEL, tools=[])
        worker.send(chi="chunk", sid=SID, part={"type": "text", "text": "ä "})
        worker.send(chi="permission-ask", sid=SID, askId="p", tool="bash", dusk=2**52)
        settle(worker, "early")
        late.send(chi="attach", rid="a", sid=SID, wane=0)
        assert late.read_until("pulse")["kind"] == "cell-ready"
        late.send(chi="attach", rid="b", sid=SID, wane=0)  # from the beginning once more
        worker.send(chi="chunk", sid=SID, chunkType="text_delta", delta="live")
        worker.send(chi="finish", sid=SID, finishReason="end_turn", usage={"output_tokens": 1})

        driver, observer = (
            [{key: tone[key] for key in tone if key not in OWN} for tone in transcript(client)]
            for client in (asker, late)
        )
        assert observer == driver
        assert text(driver) == "ä live"


def test_who_attached_to_listen_drives_nothing(stack: Stack) -> None:
    """Humd 7.3: refused with the reason and the rid, with no record and no effect."""
    with stack.client() as worker, stack.client() as asker, stack.client() as ear:
        started(worker, asker)
        worker.send(chi="permission-ask", sid=SID, askId="p", tool="bash", dusk=2**52)
        ear.send(chi="attach", rid="a", sid=SID, hearOnly=True)
        assert ear.read_until("echo", rid="a")["ok"] is True
        before = len(stack.events())

        for chi in (*DRIVERS, "tool-result", "tool-call"):
            about = {"callId": "c", "name": "own"} if chi.startswith("tool") else {"askId": "p"}
            ear.send(chi=chi, rid=f"r-{chi}", sid=SID, decision="allow", **about)
            answers: dict[str, Flat] = {}
            while len(answers) < 2:
                tone = ear.read()
                if tone.get("rid") == f"r-{chi}":
                    answers[tone["chi"]] = tone
            assert answers["error"]["qualifier"] == "hearOnly.denied"
            assert answers["echo"]["ok"] is False

        assert len(stack.events()) == before
        worker.send(chi="finish", sid=SID, finishReason="end_turn")
        assert ear.read_until("finish")["finishReason"] == "end_turn"
        assert asker.read_until("finish")["finishReason"] == "end_turn"
        ear.send(chi="attach", sid=SID, hearOnly=False)
        ear.send(chi="prompt", rid="now", sid=SID, modelId=MODEL, content="mine")
        assert ear.read_until("echo", rid="now")["ok"] is True
        assert worker.read_until("prompt", rid="now")["content"] == "mine"
