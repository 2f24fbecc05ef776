"""The door as any client meets it: the list of docs/wire.md, section 2.6, on real processes."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.support.ndjson import Client, Flat
from tests.support.stack import CORE, Stack

from nest.private import replace_private

pytestmark = pytest.mark.process

MODEL = "model-of-test"
FOREIGN_UID = 65533


@pytest.fixture
def stack(home: Path) -> Iterator[Stack]:
    with Stack(home, services=CORE) as stack:
        yield stack


def hid(digit: str, prefix: str = "wbee") -> str:
    return f"{prefix}_{digit * 64}"


def join(client: Client, hive: str, **fields: Any) -> None:
    """Say hello as a bee and read everything that answers it."""
    assert client.read()["chi"] == "breath"
    client.send(chi="hello", rid="hello", hive=hive, protoVersion="0.7.0", **fields)
    assert client.read() == {"chi": "echo", "rid": "hello", "ok": True}
    assert client.read()["chi"] == "breath"


def join_worker(client: Client, hive: str = "worker", digit: str = "0") -> None:
    join(client, hive, bee=["worker"], models=[MODEL], hid=hid(digit))


def ask(client: Client, sid: str, **fields: Any) -> None:
    client.send(chi="prompt", sid=sid, modelId=MODEL, content="hi", **fields)


def bees(stack: Stack) -> list[str]:
    """The registered hives, the door's own aside."""
    return [hive for hive in stack.hives() if hive != "thrumd"]


def next_echo(client: Client) -> Flat:
    """The next tone, which must be an echo: so nothing else came before it."""
    tone = client.read()
    assert tone["chi"] == "echo", tone
    return tone


def test_a_breath_comes_before_anything_is_said(stack: Stack) -> None:
    """Thrum 15.1, and again for every hello 15.2: two breaths, both with a list of sessions."""
    with stack.client() as client:
        first = client.read()
        client.send(chi="hello", rid="r", sid="hum-doctor-probe", bee=["worker"])

        assert first == {
            "chi": "breath",
            "from": "daemon",
            "sessions": [],
            "protoVersion": "0.7.0",
        }
        assert client.read() == {"chi": "echo", "rid": "r", "ok": True}
        second = client.read()
        assert (second["chi"], second["from"], second["sessions"]) == ("breath", "daemon", [])
        assert bees(stack) == []


def test_only_tones_with_a_rid_are_echoed_and_each_once(stack: Stack) -> None:
    """Thrum 15.3."""
    with stack.client() as worker, stack.client() as asker:
        join_worker(worker)
        assert asker.read()["chi"] == "breath"

        ask(asker, "quiet")
        ask(asker, "told", rid="r1")
        asker.send(chi="cancel", sid="told", rid="r2")

        assert [next_echo(asker)["rid"] for _ in range(2)] == ["r1", "r2"]
        sids = [worker.read_until("prompt")["sid"] for _ in range(2)]
        assert sids == ["quiet", "told"]


def test_a_tone_past_its_dusk_has_a_negative_echo_and_no_effect(stack: Stack) -> None:
    """Thrum 15.4."""
    with stack.client() as worker, stack.client() as asker:
        join_worker(worker)
        assert asker.read()["chi"] == "breath"

        ask(asker, "dead", rid="dead", dusk=1)
        ask(asker, "float", rid="float", dusk=1.0)

        assert next_echo(asker) == {
            "chi": "echo", "rid": "dead", "ok": False, "error": "past dusk",
        }  # fmt: skip
        assert next_echo(asker) == {"chi": "echo", "rid": "float", "ok": True}
        assert worker.read_until("prompt")["sid"] == "float"


def test_garbage_is_ignored_and_the_connection_survives(stack: Stack) -> None:
    """Thrum 15.5."""
    with stack.client() as client:
        assert client.read()["chi"] == "breath"

        for line in (
            b"garbage",
            b"[]",
            b"7",
            b'{"chi":""}',
            b'{"rid":"x"}',
            b"\xff\xfe",
            b"",
            b"\r",
        ):
            client.send_raw(line + b"\n")
        client.send(chi="hello", rid="after")

        assert next_echo(client)["rid"] == "after"


@pytest.mark.parametrize("chi", ["from-the-future", "credit", "append"])
def test_an_unknown_chi_is_echoed_and_ignored(stack: Stack, chi: str) -> None:
    """Thrum 15.6; the bus's own chi are unknown at the door."""
    with stack.client() as client:
        assert client.read()["chi"] == "breath"

        client.send(chi=chi, rid="new", upto=10**9)
        client.send(chi="hello", rid="after")

        assert [next_echo(client)["rid"] for _ in range(2)] == ["new", "after"]


def test_a_log_tone_is_in_the_daemons_log_and_is_not_echoed(stack: Stack) -> None:
    """Humd 4.2: at its level, no more of them than is good for the others, and no secret."""
    replace_private(stack.paths.sidecar_token, b"canary-of-the-sidecar")
    with stack.client() as client:
        assert client.read()["chi"] == "breath"

        client.send(chi="log", rid="l", level="warn", event="cell.slow", data={"ms": 7})
        client.send(chi="log", level="error", message="it said: canary-of-the-sidecar")
        for number in range(1_000):
            client.send(chi="log", rid=f"{number}", level="info", message="again and again")
        client.send(chi="log", rid="long", level="error", message="x" * 9_000)
        client.send(chi="hello", rid="after")

        assert next_echo(client)["rid"] == "after"
        stack.wait_for(lambda: "cell.slow" in stack.log("humd"), "the line of a bee")
        lines = [orjson.loads(line) for line in stack.log("humd").splitlines()]
        said = [line for line in lines if line["event"] == "bee.says"]
        assert (said[0]["level"], said[0]["says"], said[0]["data"]) == (
            "warning",
            "cell.slow",
            {"ms": 7},
        )
        assert said[1]["says"] == f"it said: {'*' * 21}"
        assert 2 < len(said) < 500
        assert "log" not in [event["chi"] for event in stack.events()]


def test_of_two_connections_with_one_hid_the_newer_is_listed(stack: Stack) -> None:
    """Thrum 15.9: the older one goes on as an asker."""
    with stack.client() as older, stack.client() as newer:
        join_worker(older, "older")
        join_worker(newer, "newer")

        stack.wait_for(lambda: bees(stack) == ["newer"], "only the newer one in bees.json")
        ask(older, "s", rid="r")

        assert newer.read_until("prompt")["sid"] == "s"
        newer.send(chi="finish", sid="s", finishReason="end_turn")
        assert older.read_until("finish")["finishReason"] == "end_turn"


def test_a_second_humd_of_one_state_names_the_first_and_touches_nothing(stack: Stack) -> None:
    """Features A2."""
    stack.start("humd", instance="second")

    assert stack.wait_exit("second") == 78
    assert f"pid {stack.pid('humd')}" in stack.log("second")
    with stack.client() as worker, stack.client() as asker:
        join_worker(worker)
        ask(asker, "s")
        assert worker.read_until("prompt")["sid"] == "s"


def test_a_plain_socket_and_json_suffice_for_both_sides(stack: Stack) -> None:
    """Features A5: what any language can do in thirty lines, as an asker and as a worker."""

    def connect() -> Any:
        plain = socket.socket(socket.AF_UNIX)
        plain.settimeout(10)
        plain.connect(str(stack.paths.thrum_socket))
        file = plain.makefile("rw", encoding="ascii", newline="\n")
        plain.close()  # the file keeps the connection
        return file

    def say(file: Any, **tone: Any) -> None:
        file.write(json.dumps(tone) + "\n")
        file.flush()

    def hear(file: Any, chi: str) -> Any:
        while True:
            tone = json.JSONDecoder().decode(file.readline())
            if tone["chi"] == chi:
                return tone

    with connect() as worker, connect() as asker:
        say(worker, chi="hello", bee=["worker"], hive="plain", models=[MODEL], hid=hid("7"))
        hear(worker, "breath"), hear(worker, "breath")
        say(asker, chi="prompt", rid="r", sid="s", modelId=MODEL, content="grüße ☕")
        assert hear(worker, "prompt")["content"] == "grüße ☕"
        for text in ("Hal", "lo ", "☕"):
            say(worker, chi="chunk", sid="s", chunkType="text_delta", blockIdx=0, delta=text)
        say(worker, chi="finish", sid="s", finishReason="end_turn", usage={"output_tokens": 3})

        chunks = [hear(asker, "chunk") for _ in range(3)]
        finish = hear(asker, "finish")

        assert "".join(chunk["delta"] for chunk in chunks) == "Hallo ☕"
        assert "".join(chunk["part"]["text"] for chunk in chunks) == "Hallo ☕"
        assert {tone["from"] for tone in (*chunks, finish)} == {"daemon"}
        assert len({tone["sigil"] for tone in (*chunks, finish)}) == 1
        wanes = [tone["wane"] for tone in (*chunks, finish)]
        assert wanes == sorted(set(wanes))
        assert finish["usage"] == {"output_tokens": 3}


def test_unknown_fields_survive_the_way_through(stack: Stack) -> None:
    extra = {
        "ext": {"my-bee": {"a": [1, 2.5, None, True, "é"]}},
        "neu": 2**64 - 1,
        "minus": -(2**63),
    }
    with stack.client() as worker, stack.client() as asker:
        join_worker(worker)

        ask(asker, "s", **extra)

        prompt = worker.read_until("prompt")
        assert {key: prompt[key] for key in extra} == extra


def test_no_echo_and_no_delivery_comes_before_the_log_has_the_tone(stack: Stack) -> None:
    """Features A11. What the door answers by itself overtakes what must be on disk first."""
    with stack.client() as client, stack.client() as worker:
        join_worker(worker)
        assert client.read()["chi"] == "breath"
        stack.send_signal(CORE[0], signal.SIGSTOP)

        ask(client, "s", rid="logged")
        for one in (client, worker):
            one.send(chi="not-logged", rid="at once")
            assert next_echo(one)["rid"] == "at once"

        stack.send_signal(CORE[0], signal.SIGCONT)
        assert next_echo(client)["rid"] == "logged"
        assert worker.read()["chi"] == "prompt"


def test_connections_and_tones_survive_the_death_of_humd(stack: Stack) -> None:
    with stack.client() as worker, stack.client() as asker:
        join_worker(worker)
        assert asker.read()["chi"] == "breath"
        stack.kill("humd")

        ask(asker, "s", rid="while away")
        asker.send(chi="not-logged", rid="at once")

        assert next_echo(asker)["rid"] == "at once"
        stack.start("humd")
        assert next_echo(asker) == {"chi": "echo", "rid": "while away", "ok": True}
        assert worker.read_until("prompt")["sid"] == "s"


def test_a_half_closed_client_gets_its_answer(stack: Stack) -> None:
    """One original bee closes its writing side after the prompt and waits."""
    with stack.client() as worker, stack.client() as asker:
        join_worker(worker)
        ask(asker, "s")
        asker.socket.shutdown(socket.SHUT_WR)

        assert worker.read_until("prompt")["sid"] == "s"
        worker.send(chi="finish", sid="s", finishReason="end_turn")

        assert asker.read_until("finish")["sid"] == "s"


def test_when_a_worker_is_gone_its_asker_hears_so(stack: Stack) -> None:
    with stack.client() as asker:
        with stack.client() as worker:
            join_worker(worker)
            ask(asker, "s")
            assert worker.read_until("prompt")["sid"] == "s"

        assert asker.read_until("error", sid="s")["qualifier"] == "worker.lost"
        stack.wait_for(lambda: bees(stack) == [], "no bee in bees.json")


def test_a_line_over_the_limit_is_answered_and_skipped(stack: Stack) -> None:
    """Thrum 1: the connection stays."""
    stack.configure({"humd": {"maxFrameBytes": 65_536, "metricsAddr": ""}})
    stack.restart("thrumd")
    stack.wait_ready()
    with stack.client() as client:
        assert client.read()["chi"] == "breath"

        client.send(chi="prompt", rid="long", sid="s", content="x" * 65_536)
        client.send(chi="hello", rid="after")

        refusal = client.read()
        assert (refusal["chi"], refusal["qualifier"]) == ("error", "frame.too-large")
        assert next_echo(client)["rid"] == "after"


def test_a_long_text_arrives_in_lines_that_every_client_can_read(stack: Stack) -> None:
    text = "ä" * 100_000
    with stack.client() as worker, stack.client() as asker:
        join_worker(worker)
        ask(asker, "s")
        worker.read_until("prompt")

        worker.send(chi="chunk", sid="s", chunkType="text_delta", delta=text)
        worker.send(chi="finish", sid="s", finishReason="end_turn")

        found, pieces = "", 0
        while (tone := asker.read())["chi"] != "finish":
            if tone["chi"] == "chunk":
                assert len(json.dumps(tone)) < 65_536
                found, pieces = found + tone["delta"], pieces + 1
        assert found == text
        assert pieces > 1


def test_a_client_that_never_reads_is_cut_with_a_reason_and_harms_nobody(stack: Stack) -> None:
    """Thrum 10: its turn is cancelled, the log and its last line say why, others go on."""
    lump = "x" * 1_000_000
    with stack.client() as worker, stack.client() as deaf, stack.client() as asker:
        join_worker(worker)
        ask(deaf, "deaf")
        worker.read_until("prompt", sid="deaf")

        for _ in range(40):
            worker.send(chi="chunk", sid="deaf", chunkType="tool_result", result=lump)
        ask(asker, "fine")
        worker.read_until("prompt", sid="fine")
        worker.send(chi="finish", sid="fine", finishReason="end_turn")

        assert asker.read_until("finish")["sid"] == "fine"
        assert worker.read_until("cancel", sid="deaf")["reason"] == "asker-lost"
        last = deaf.read_until("error")
        assert (last["qualifier"], last["from"]) == ("queue.overflow", "daemon")
        with pytest.raises(EOFError):
            deaf.read()
        gone = [event for event in stack.events() if event["chi"] == "bee-retract"]
        assert "slow-reader" in [event["body"].get("reason") for event in gone]
        assert "slow-reader" in stack.log("thrumd")


def test_a_burst_arrives_whole_and_in_order(stack: Stack) -> None:
    """Faster than anybody reads: joined where text may be joined, never lost, never reordered."""
    count = 20_000
    with stack.client() as worker, stack.client() as asker:
        join_worker(worker)
        ask(asker, "s")
        worker.read_until("prompt")
        chunk = '{"chi":"chunk","sid":"s","chunkType":"text_delta","blockIdx":0,"delta":"%d,"}\n'

        worker.send_raw("".join(chunk % number for number in range(count)).encode())
        worker.send(chi="finish", sid="s", finishReason="end_turn")

        found, wanes = [], []
        while (tone := asker.read())["chi"] != "finish":
            if tone["chi"] == "chunk":
                found.append(tone["delta"])
                wanes.append(tone["wane"])
        assert "".join(found) == "".join(f"{number}," for number in range(count))
        assert wanes == sorted(wanes)


def test_an_orderly_end_settles_what_was_said(stack: Stack) -> None:
    with stack.client() as client:
        assert client.read()["chi"] == "breath"
        client.send(chi="hello", rid="first")
        assert next_echo(client)["rid"] == "first"
        assert client.read()["chi"] == "breath"

        client.send(chi="hello", rid="last", hive="x", hid=hid("1"))
        client.send(chi="not-logged", rid="taken")
        assert client.read_until("echo", rid="taken")
        stack.kill("thrumd", signal.SIGTERM)

        assert client.read_until("echo", rid="last")["ok"] is True


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_gets_no_breath(home: Path) -> None:
    """Reliability A1: even where the directory and the mode of the socket would let him in."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        path = Path(folder) / "s"
        with Stack(home, env={"HUM_THRUM_SOCK": str(path)}):
            path.parent.chmod(0o711)
            path.chmod(0o666)

            assert _hears_a_breath(path, os.getuid())
            assert not _hears_a_breath(path, FOREIGN_UID)


def _hears_a_breath(path: Path, uid: int) -> bool:
    code = (
        "import os, socket, sys\n"
        "os.setuid(int(sys.argv[2]))\n"
        "s = socket.socket(socket.AF_UNIX); s.settimeout(10); s.connect(sys.argv[1])\n"
        "sys.exit(3 if s.recv(1) else 4)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path), str(uid)], check=False)
    assert done.returncode in (3, 4)
    return done.returncode == 3
