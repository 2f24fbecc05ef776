"""Permission-asks on real processes: listed, answered, kept over every death, ended by time alone.

Features A15, humd 8. Each test has a worker, a conversation and asks of its own; all share a stack.
"""

import http.client
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import orjson
import pytest
from tests.support.ndjson import Client, Flat
from tests.support.originals import rust_worker_hello
from tests.support.stack import CORE, Stack

from nest.identity import load_identity
from nest.operator import operator
from thrum.tones import Tone

pytestmark = [pytest.mark.process, pytest.mark.timeout(60)]

LONG_PATH = 10_000
"""Words in a path that is too long for a line of the log."""
SOON_MS = 1_000
"""Far enough that the ask arrives before its dusk on a busy machine too."""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(services=(*CORE, "sidecar")) as stack:
        stack.wait_bee("sidecar")
        yield stack


@contextmanager
def turn(stack: Stack, name: str) -> Iterator[tuple[Client, Client]]:
    """A worker in a turn, and its asker."""
    with stack.client() as worker, stack.client() as asker:
        worker.send(**rust_worker_hello(name, name))
        stack.wait_bee(name)
        asker.send(chi="hello", rid="h", hive=f"asker-{name}", hid=hid(name), bee=["forager"])
        asker.send(chi="prompt", sid=name, modelId=name, content="hi")
        worker.read_until("prompt", sid=name)
        yield worker, asker


def hid(name: str) -> str:
    return f"fbee_{name.encode().hex():a<64.64}"


def asks_for(worker: Client, sid: str, ask_id: str, **fields: Any) -> None:
    """The worker wants consent, and its asker has heard so."""
    asked = {"askId": ask_id, "tool": "bash", "path": "/etc/hosts", **fields}
    worker.send(chi="permission-ask", rid=ask_id, sid=sid, **asked)
    assert worker.read_until("echo", rid=ask_id)["ok"] is True


def command_of(*words: str) -> list[str]:
    return [sys.executable, "-m", "hum", *words]


def run(stack: Stack, *words: str) -> "subprocess.CompletedProcess[str]":
    command = command_of(*words)
    return subprocess.run(command, env=stack.env, capture_output=True, text=True, check=False)


def asks(stack: Stack, sid: str, *, state: str | None = "asked") -> list[Flat]:
    """The asks of a conversation, as the operator sees them; all of them without a state."""

    async def seen() -> list[Flat]:
        async with operator(stack.paths) as session:
            return await session.asks()

    return [ask for ask in anyio.run(seen) if ask["sid"] == sid and state in (None, ask["state"])]


def decide(stack: Stack, ask: Flat, *, allow: bool = True) -> Flat:
    async def decided() -> Flat:
        async with operator(stack.paths) as session:
            return await session.decide(ask, allow=allow, by="test")

    return anyio.run(decided)


def operator_hid(stack: Stack) -> str:
    return str(load_identity(stack.paths.operator_key, prefix="fbee").hid)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def page_says(
    stack: Stack, method: str, path: str, body: Flat | None = None, *, token: str = ""
) -> tuple[int, Any]:
    """Status and body of a request to the sidecar."""
    bees: dict[str, Flat] = orjson.loads(stack.paths.bees_json.read_bytes())
    port = next(bee["bind"]["port"] for bee in bees.values() if bee["name"] == "sidecar")
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    head = {
        "Authorization": f"Bearer {token or stack.paths.sidecar_token.read_text()}",
        "Content-Type": "application/json",
    }
    try:
        link.request(
            method, path, body=orjson.dumps(body) if body is not None else None, headers=head
        )
        answer = link.getresponse()
        return answer.status, orjson.loads(answer.read())
    finally:
        link.close()


def decisions(stack: Stack, ask_id: str) -> list[Flat]:
    """The events that decided an ask."""
    return [
        event
        for event in stack.events()
        if event["chi"] == "release-permit" and event["body"].get("askId") == ask_id
    ]


def test_the_command_line_decides_and_the_log_says_who(stack: Stack) -> None:
    with turn(stack, "cli") as (worker, asker):
        for name in ("allow", "deny"):
            asks_for(worker, "cli", name)
        shown = [orjson.loads(line) for line in run(stack, "asks", "--json").stdout.splitlines()]
        waiting = {ask["askId"]: ask for ask in shown}
        by = operator_hid(stack)

        for verb, state in (("allow", "allowed"), ("deny", "denied")):
            ask = waiting[verb]
            done = run(stack, verb, str(ask["id"]), "--json")

            assert done.returncode == 0, done.stderr
            answer = worker.read_until("release-permit")
            assert [answer[key] for key in ("decision", "askId", "permitId")] == [verb] * 3
            assert (ask["state"], ask["tool"], ask["sid"]) == ("asked", "bash", "cli")
            assert ask["about"] == {"path": "/etc/hosts"}
            over = orjson.loads(done.stdout)
            assert (over["state"], over["decided_by"]) == (state, by)
            (event,) = decisions(stack, verb)
            assert event["body"]["@via"]["why"] == f"{state} by {by}"
            assert event["body"]["by"]
            assert asker.read_until("permission-ask")["askId"] == verb


def test_what_is_decided_is_decided_once(stack: Stack) -> None:
    with turn(stack, "once") as (worker, asker):
        asks_for(worker, "once", "ask-once", question="\x1b[2Jmay\nI?")
        (ask,) = asks(stack, "once")
        table = run(stack, "asks").stdout
        asker.send(chi="release-permit", rid="r", sid="once", askId="ask-once", decision="allow")
        assert asker.read_until("echo", rid="r")["ok"] is True

        late = run(stack, "deny", str(ask["id"]))

        assert f"{ask['id']}  asked" in table
        assert "may I?" in table
        assert "\x1b" not in table
        assert (late.returncode, f"is allowed by {hid('once')}" in late.stderr) == (1, True)
        assert len(decisions(stack, "ask-once")) == 1
        assert asks(stack, "once") == []


def test_an_ask_survives_the_restart_of_its_asker(stack: Stack) -> None:
    with turn(stack, "asker-goes") as (worker, asker):
        asks_for(worker, "asker-goes", "ask-asker")
        asker.close()
        with stack.client() as back:
            hello = {"hive": "back", "hid": hid("asker-goes"), "bee": ["forager"]}
            back.send(chi="hello", rid="h2", **hello)
            back.read_until("echo", rid="h2")
            back.send(chi="attach", rid="a", sid="asker-goes", wane=0)
            assert back.read_until("permission-ask")["askId"] == "ask-asker"

            answer = {"askId": "ask-asker", "decision": "no"}
            back.send(chi="release-permit", rid="d", sid="asker-goes", **answer)

            assert back.read_until("echo", rid="d")["ok"] is True
            assert worker.read_until("release-permit")["decision"] == "deny"


def test_asks_survive_the_death_of_every_process(home: Path) -> None:
    """Of humd, of the door and so the connections of their bees, and of the page they are on."""
    with Stack(home, services=(*CORE, "sidecar")) as stack:
        stack.wait_bee("sidecar")
        with turn(stack, "dies") as (worker, _), turn(stack, "gone") as (going, asker):
            for name in ("humd", "door", "page", "page-2"):
                asks_for(worker, "dies", name, question="may I?")
            asks_for(going, "gone", "gone")
            before = asks(stack, "dies")
            ids = {ask["askId"]: ask["id"] for ask in before}
            going.close()
            assert asker.read_until("error")["qualifier"] == "worker.lost"

            stack.kill("humd")
            away = run(stack, "asks")
            stack.start("humd")
            stack.wait_ready()

            assert (away.returncode, "hum up" in away.stderr) == (69, True)
            assert asks(stack, "dies") == before
            decide(stack, before[0])
            assert worker.read_until("release-permit")["askId"] == "humd"
            assert asks(stack, "gone") == []
            (over,) = asks(stack, "gone", state=None)
            assert (over["state"], over["decided_by"]) == ("withdrawn", None)

            stack.kill("thrumd")
            stack.start("thrumd")
            stack.wait_ready()
            with stack.client() as again:
                again.send(**rust_worker_hello("dies", "dies"))
                stack.wait_bee("dies")
                decide(stack, before[1])
                assert again.read_until("release-permit", askId="door")["decision"] == "allow"

                stack.wait_bee("sidecar")
                page_says(stack, "GET", "/api/asks")
                stack.kill("sidecar")
                stack.wait_for(lambda: "sidecar" not in stack.hives(), "that humd noticed")
                stack.start("sidecar")
                stack.wait_bee("sidecar")
                assert [ask["id"] for ask in page_says(stack, "GET", "/api/asks")[1]["asks"]] == [
                    ids["page"],
                    ids["page-2"],
                ]
                shown = page_says(stack, "GET", f"/api/asks/{ids['page']}")
                assert (shown[0], shown[1]["body"]["question"]) == (200, "may I?")
                wanted = {"decision": "allow", "by": "ada"}
                status, over = page_says(stack, "POST", f"/api/asks/{ids['page']}", wanted)
                by = operator_hid(stack)
                assert (status, over["state"], over["decided_by"]) == (200, "allowed", by)
                assert again.read_until("release-permit")["askId"] == "page"
                (event,) = decisions(stack, "page")
                assert event["body"]["by"] == "ada"


def test_time_alone_expires_an_ask_and_nobody_is_said_to_have_denied_it(stack: Stack) -> None:
    """Humd 8.3."""
    with turn(stack, "dusk") as (worker, asker):
        asks_for(worker, "dusk", "ask-dusk", dusk=now_ms() + SOON_MS)

        told = worker.read_until("release-permit")

        assert (told["decision"], told["reason"]) == ("deny", "dusk")
        (over,) = asks(stack, "dusk", state=None)
        assert (over["state"], over["decided_by"]) == ("expired", None)
        assert asks(stack, "dusk") == []
        (event,) = decisions(stack, "ask-dusk")
        assert event["body"]["@via"].get("client") is None
        assert event["body"]["reason"] == "dusk"
        late = run(stack, "allow", str(over["id"]))
        assert (late.returncode, "is expired" in late.stderr) == (1, True)
        asker.send(chi="release-permit", rid="l", sid="dusk", askId="ask-dusk", decision="allow")
        assert asker.read_until("error", rid="l")["qualifier"] == "permit.expired"


def test_an_ask_whose_time_ends_while_humd_is_away_is_expired_when_it_is_back(home: Path) -> None:
    with Stack(home) as stack, turn(stack, "away") as (worker, _):
        dusk = now_ms() + SOON_MS
        asks_for(worker, "away", "ask-away", dusk=dusk)
        stack.kill("humd")
        stack.wait_for(lambda: now_ms() > dusk, "its dusk")
        stack.start("humd")

        assert worker.read_until("release-permit")["reason"] == "dusk"
        (over,) = asks(stack, "away", state=None)
        stack.kill("humd")
        stack.start("humd")
        stack.wait_ready()
        assert over["state"] == "expired"
        assert asks(stack, "away", state=None) == [over]


def test_the_page_refuses_what_it_should(stack: Stack) -> None:
    with turn(stack, "page") as (worker, _):
        asks_for(worker, "page", "ask-page")
        (ask,) = asks(stack, "page")
        decide(stack, ask, allow=False)

        yes = {"decision": "allow"}
        status, problem = page_says(stack, "POST", f"/api/asks/{ask['id']}", yes)
        assert (status, "is denied by" in problem["detail"]) == (409, True)
        assert page_says(stack, "POST", "/api/asks/1", yes)[0] == 404
        assert page_says(stack, "GET", "/api/asks/1")[0] == 404
        assert page_says(stack, "POST", "/api/asks/1", {"decision": "maybe"})[0] == 422
        assert page_says(stack, "GET", "/api/asks", token="wrong")[0] == 401
        assert ask["id"] in [
            one["id"] for one in page_says(stack, "GET", "/api/asks?every=true")[1]["asks"]
        ]


def test_who_holds_no_key_decides_nothing(stack: Stack) -> None:
    with turn(stack, "keyless") as (worker, _), stack.client() as other:
        asks_for(worker, "keyless", "ask-keyless")
        other.send(chi="hello", rid="h", hive="x", hid=operator_hid(stack), bee=["operator"])
        other.send(
            chi="release-permit", rid="d", sid="keyless", askId="ask-keyless", decision="allow"
        )

        assert other.read_until("error", rid="d")["qualifier"] == "auth.denied"
        assert len(asks(stack, "keyless")) == 1
        assert decisions(stack, "ask-keyless") == []


def test_two_who_decide_at_once_both_do(stack: Stack) -> None:
    with turn(stack, "pair") as (worker, _):
        for number in range(2):
            asks_for(worker, "pair", f"pair-{number}")
        commands = [
            subprocess.Popen(
                [sys.executable, "-m", "hum", "allow", str(ask["id"])],
                env=stack.env,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for ask in asks(stack, "pair")
        ]

        assert [command.wait(timeout=40) for command in commands] == [0] * 2
        answered = {worker.read_until("release-permit")["askId"] for _ in range(2)}
        assert answered == {f"pair-{number}" for number in range(2)}


def test_the_operators_key_is_private(stack: Stack) -> None:
    asks(stack, "any")

    assert stack.paths.operator_key.stat().st_mode & 0o777 == 0o600
    assert stack.paths.operator_key.stat().st_uid == os.geteuid()


def test_looking_at_the_asks_leaves_nothing_in_the_log(stack: Stack) -> None:
    with turn(stack, "looked") as (worker, _):
        asks_for(worker, "looked", "ask-1")
        before = len(stack.events())

        listed = run(stack, "asks", "--json")

        assert listed.returncode == 0, listed.stderr
        assert "looked" in [orjson.loads(line)["sid"] for line in listed.stdout.splitlines()]
        assert len(stack.events()) == before


def test_an_ask_whose_text_was_forgotten_is_listed_as_such(stack: Stack) -> None:
    with turn(stack, "erased") as (worker, asker):
        asks_for(worker, "erased", "ask-long", path="/long" * LONG_PATH)
        (ask,) = asks(stack, "erased")
        before = run(stack, "asks", "--all")
        worker.send(chi="finish", sid="erased", finishReason="stop")
        asker.read_until("finish", sid="erased")
        assert run(stack, "thehum", "forget", "--sid", "erased").returncode == 0

        after = run(stack, "asks", "--all").stdout.splitlines()
        told = map(orjson.loads, run(stack, "asks", "--all", "--json").stdout.splitlines())

    assert "/long/long" in before.stdout
    (row,) = [line for line in after if line.startswith(str(ask["id"]))]
    assert row.split() == [str(ask["id"]), "withdrawn", "-", "-", "erased", "forgotten"]
    assert [one["forgotten"] for one in told if one["id"] == ask["id"]] == [True]


async def test_one_that_only_visits_decides_nothing(stack: Stack) -> None:
    async with operator(stack.paths, visits=True) as session:
        number = await session.bee.send(Tone(chi="release-permit", sid="s", body={"askId": "a"}))

        assert await session.asks() is not None

    assert number == 1
    assert "a" not in [event["body"].get("askId") for event in stack.events()]


def test_an_agent_is_asked_to_ask_again_for_what_expired_and_for_nothing_else(
    stack: Stack,
) -> None:
    """Features A15: one command, whoever the conversation is of; the new ask is one of its own."""
    with turn(stack, "again") as (worker, asker):
        asks_for(worker, "again", "ask-late", dusk=time.time_ns() // 1_000_000 + SOON_MS)
        asks_for(worker, "again", "ask-open")
        assert worker.read_until("release-permit")["reason"] == "dusk"
        late, still_open = asks(stack, "again", state=None)

        early = run(stack, "reask", str(still_open["id"]))
        nothing = run(stack, "reask", "999999")
        told = run(stack, "reask", "--json", str(late["id"]))
        repeated = [
            subprocess.Popen(command_of("reask", "--json", str(late["id"])), env=stack.env,
                             stdout=subprocess.PIPE)
            for _ in range(2)
        ]  # fmt: skip
        rids = {orjson.loads(told.stdout)["rid"]}
        for one in repeated:
            said = orjson.loads(one.communicate()[0])
            assert (one.returncode, said["new"]) == (0, False)
            rids.add(said["rid"])

        assert len(rids) == 1
        assert (early.returncode, f"hum allow {still_open['id']}" in early.stderr) == (1, True)
        assert (nothing.returncode, "hum asks --all" in nothing.stderr) == (1, True)
        assert told.returncode == 0, told.stderr
        worker.send(chi="finish", sid="again", finishReason="stop")
        prompt = worker.read_until("prompt", sid="again")
        assert "bash" in prompt["content"]
        assert "/etc/hosts" in prompt["content"]
        assert prompt["rid"] in rids
        asks_for(worker, "again", "ask-late")
        assert asker.read_until("permission-ask", askId="ask-late")
        (new,) = asks(stack, "again")
        assert new["id"] > late["id"]
        decide(stack, new)
        assert worker.read_until("release-permit")["decision"] == "allow"
        states = [ask["state"] for ask in asks(stack, "again", state=None)]
        assert states == ["expired", "withdrawn", "allowed"]
    stranded = run(stack, "reask", str(late["id"]))
    assert (stranded.returncode, "refused" in stranded.stderr) == (1, True)  # its worker is gone
