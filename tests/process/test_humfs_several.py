"""Several real humfs behind one humd: by roots, by load, and when one is killed (humfs 2, 3.6)."""

import fcntl
import random
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.support.ndjson import Client
from tests.support.stack import QUIET_SETTINGS, Stack

pytestmark = [pytest.mark.process, pytest.mark.timeout(90)]

CALLS = 8
"""Calls at once; each of a conversation of its own, so that they are spread."""
OUTPUT_CHARS = 2_000
KILLS_SOAK = 60
_NUMBERS = count()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("several")
    for name in ("code", "notes"):
        (home / name).mkdir()
    (home / "notes" / "n.txt").write_text("a note\n")
    return home


@pytest.fixture(scope="module")
def stack(home: Path) -> Iterator[Stack]:
    with three(home) as up:
        yield up


@contextmanager
def three(home: Path) -> Iterator[Stack]:
    """Two humfs with the same roots, and one with another that may only be read."""
    fs = {
        "roots": [{"path": str(home / "code")}],
        "maxOutputChars": OUTPUT_CHARS,
        "instances": [
            {"name": "second"},
            {"name": "notes", "roots": [{"path": str(home / "notes"), "mode": "ro"}]},
        ],
    }
    with Stack(services=("thehum", "humd", "thrumd"), settings={**QUIET_SETTINGS, "fs": fs}) as up:
        up.start("humfs")
        for name in ("second", "notes"):
            up.start("humfs", "--instance", name, instance=name)
        for hive in ("humfs", "humfs-second", "humfs-notes"):
            up.wait_bee(hive)
        yield up


@pytest.fixture
def client(stack: Stack) -> Iterator[Client]:
    with joined(stack) as client:
        yield client


@contextmanager
def joined(stack: Stack) -> Iterator[Client]:
    """An asker at the door."""
    with stack.client() as client:
        client.send(chi="hello", rid="hello", bee=["asker"], hive="test")
        client.read_until("breath")
        yield client


def send(client: Client, tool: str, *, sid: str | None = None, **args: Any) -> str:
    """Make a call in a conversation of its own, unless one is named; its id."""
    call_id = f"c{next(_NUMBERS)}"
    sid = sid or f"sid-{call_id}"
    client.send(chi="tool-call", rid=call_id, sid=sid, callId=call_id, toolName=tool, args=args)
    return call_id


def answers(client: Client, calls: set[str]) -> dict[str, dict[str, Any]]:
    """What these calls come to: a result, or an error of humd."""
    found: dict[str, dict[str, Any]] = {}
    while found.keys() != calls:
        tone = client.read()
        if tone["chi"] in ("tool-result", "error") and tone.get("callId") in calls:
            found[tone["callId"]] = tone
    return found


def call(client: Client, tool: str, *, sid: str | None = None, **args: Any) -> dict[str, Any]:
    """One call and its answer."""
    call_id = send(client, tool, sid=sid, **args)
    return answers(client, {call_id})[call_id]


def callees(stack: Stack, events_before: int) -> set[str]:
    """Which clients have answered calls since."""
    return {
        str(event["body"]["@via"]["client"])
        for event in stack.events()[events_before:]
        if event["chi"] == "tool-result"
    }


def test_a_call_goes_to_the_humfs_whose_root_holds_its_path(
    client: Client, stack: Stack, home: Path
) -> None:
    (home / "code" / "c.txt").write_text("some code\n")

    code = call(client, "humfs_read", file_path=f"{home}/code/c.txt")
    note = call(client, "humfs_read", file_path=f"{home}/notes/n.txt")
    relative = call(client, "humfs_read", file_path="c.txt")
    write = call(client, "humfs_do_noncode", file_path=f"{home}/notes/n.txt", replace="x\n")
    outside = call(client, "humfs_read", file_path="/etc/passwd")
    between = call(
        client,
        "humfs_do_noncode",
        file_path=f"{home}/code/c.txt",
        operation="move",
        new_path=f"{home}/notes/c.txt",
    )

    assert "some code" in code["output"]
    assert "a note" in note["output"]
    assert "some code" in relative["output"]
    assert write["metadata"]["error"] == "read_only"
    assert (outside["chi"], outside["qualifier"]) == ("error", "tool.outside-roots")
    assert f"{home}/code (rw), {home}/notes (ro)" in outside["message"]
    assert between["metadata"]["error"] == "outside_roots"
    assert (home / "code" / "c.txt").exists()


def test_edits_of_one_file_by_two_humfs_all_land(client: Client, stack: Stack, home: Path) -> None:
    """Humfs 3.6: the second starts from what the first has left."""
    path = home / "code" / "many.py"
    path.write_text("".join(f"def f{at}():\n    return 0\n\n\n" for at in range(CALLS)))
    before = len(stack.events())

    made = {
        send(
            client,
            "humfs_do_code",
            file_path=str(path),
            symbol=f"f{at}",
            new_source=f"def f{at}():\n    return {at + 1}\n",
        )
        for at in range(CALLS)
    }
    found = answers(client, made)

    assert [tone for tone in found.values() if tone["isError"]] == []
    text = path.read_text()
    assert [f"return {at + 1}\n" in text for at in range(CALLS)] == [True] * CALLS
    assert len(callees(stack, before)) == 2


def test_of_edits_of_one_symbol_by_two_humfs_the_first_wins(
    client: Client, stack: Stack, home: Path
) -> None:
    """Humfs 3.7: what was under way at once and came late is told what there is now."""
    path = home / "code" / "one.py"
    path.write_text("def f():\n    return 0\n")
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        made = [
            send(
                client,
                "humfs_do_code",
                file_path=str(path),
                symbol="f",
                new_source=f"def f():\n    return {at + 1}\n",
            )
            for at in range(CALLS)
        ]
        wait_received(client, made)
    found = answers(client, set(made))

    landed = [at for at, call_id in enumerate(made) if not found[call_id]["isError"]]
    refused = {tone["metadata"].get("error") for tone in found.values() if tone["isError"]}
    assert len(landed) == 1
    assert refused == {"stale"}
    assert path.read_text() == f"def f():\n    return {landed[0] + 1}\n"


def test_a_lease_taken_through_one_holds_in_the_other(
    client: Client, stack: Stack, home: Path
) -> None:
    """Features E9."""
    (home / "code" / "leased.txt").write_text("one\n")
    path = f"{home}/code/leased.txt"
    assert call(client, "humfs_lease", sid="holder", file_path=path)["isError"] is False
    before = len(stack.events())

    edits = {
        send(client, "humfs_do_noncode", file_path=path, word="one", replace="two")
        for _ in range(CALLS)
    }
    found = answers(client, edits)

    assert {tone["metadata"]["error"] for tone in found.values()} == {"reserved"}
    assert len(callees(stack, before)) == 2, "both were asked, and both knew"
    call(client, "humfs_lease", sid="holder", file_path=path, release=True)


def test_what_a_killed_one_had_is_answered_at_once_and_the_other_goes_on(home: Path) -> None:
    with three(home) as stack, joined(stack) as client:
        kill_one_of_two(client, stack, home)


def kill_one_of_two(client: Client, stack: Stack, home: Path) -> None:
    """While both hold calls."""
    path = home / "code" / "held.txt"
    path.write_text("".join(f"w{at}\n" for at in range(CALLS)))
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        made = {
            send(
                client, "humfs_do_noncode", file_path=str(path), word=f"w{at}", replace=f"v{at}"
            ): at
            for at in range(CALLS)
        }
        wait_received(client, made)
        stack.kill("second", signal.SIGKILL)
        lost = answers_that(client, CALLS // 2, made.keys())
    kept = answers(client, made.keys() - lost.keys())

    assert {tone["qualifier"] for tone in lost.values()} == {"tool.forager-lost"}
    assert [tone for tone in kept.values() if tone["isError"]] == []
    text = path.read_text()
    for call_id, at in made.items():
        assert f"{'v' if call_id in kept else 'w'}{at}\n" in text
    after = [
        call(client, "humfs_do_noncode", file_path=str(path), word=f"w{made[one]}", replace="x")
        for one in lost
    ]
    assert [tone["isError"] for tone in after] == [False] * len(lost)

    stack.wait_for(lambda: "humfs-second" not in stack.hives(), "the second gone")
    stack.start("humfs", "--instance", "second", instance="second")
    stack.wait_bee("humfs-second")
    before = len(stack.events())
    answers(client, {send(client, "humfs_read", file_path=str(path)) for _ in range(CALLS)})
    assert len(callees(stack, before)) == 2


@pytest.mark.soak
@pytest.mark.timeout(290)
def test_no_acknowledged_edit_is_lost_while_one_or_the_other_is_killed(home: Path) -> None:
    """Every counter is what was acknowledged, or one more when nobody could say."""
    dice = random.Random(5)
    path = home / "code" / "counters.txt"
    path.write_text("".join(f"n{at}: 0\n" for at in range(CALLS)))
    counted = [0] * CALLS
    names: dict[str, tuple[str, ...]] = {"humfs": (), "second": ("--instance", "second")}
    lost = 0
    with three(home) as stack, joined(stack) as client:
        for _ in range(KILLS_SOAK):
            made = {
                send(client, "humfs_do_noncode", **step(path, at, counted)): at
                for at in range(CALLS)
            }
            answered = answers_that(client, dice.randrange(CALLS), made.keys())
            killed = dice.choice(sorted(names))
            stack.kill(killed)
            answered |= answers(client, made.keys() - answered.keys())
            lines = path.read_text().splitlines()
            assert len(lines) == CALLS
            for call_id, at in made.items():
                is_sure = answered[call_id]["chi"] == "tool-result"
                assert not answered[call_id].get("isError"), answered[call_id]
                lost += not is_sure
                found = int(lines[at].removeprefix(f"n{at}: "))
                assert found in ((counted[at] + 1,) if is_sure else (counted[at], counted[at] + 1))
                counted[at] = found
            hive = "humfs" if killed == "humfs" else "humfs-second"
            stack.wait_for(partial(is_gone, stack, hive), "the killed one gone")
            stack.start("humfs", *names[killed], instance=killed)
            stack.wait_bee(hive)
    assert lost, "nobody was killed in the middle"


def is_gone(stack: Stack, hive: str) -> bool:
    return hive not in stack.hives()


def step(path: Path, at: int, counted: list[int]) -> dict[str, str]:
    """An edit that counts one further."""
    now = counted[at]
    return {"file_path": str(path), "phrase": f"n{at}: {now}\n", "replace": f"n{at}: {now + 1}\n"}


def test_the_manifests_tell_who_has_which_roots(stack: Stack, home: Path) -> None:
    bees = orjson.loads(stack.paths.bees_json.read_bytes()).values()

    roots = {bee["name"]: bee["roots"] for bee in bees if "roots" in bee}

    code, notes = f"{home}/code", f"{home}/notes"
    assert roots == {
        "humfs": [{"path": code, "mode": "rw"}],
        "humfs-second": [{"path": code, "mode": "rw"}],
        "humfs-notes": [{"path": notes, "mode": "ro"}],
    }


@pytest.mark.parametrize("folder", ["code", "notes"])
def test_an_answer_has_as_many_characters_as_the_settings_say(
    client: Client, home: Path, folder: str
) -> None:
    """Humfs 5.5."""
    path = home / folder / "long.txt"
    path.write_text("a line of a file that is long\n" * 1_000)

    found = [call(client, "humfs_read", file_path=str(path), pattern=p) for p in ("", "line")]

    assert all(OUTPUT_CHARS // 4 < len(one["output"]) <= OUTPUT_CHARS for one in found)
    assert [one["metadata"]["truncated"] for one in found] == [True, True]


def test_an_instance_that_the_settings_do_not_name_says_so(stack: Stack) -> None:
    stack.start("humfs", "--instance", "nobody", instance="nobody")

    assert stack.wait_exit("nobody") == 78
    assert "fs.instances" in stack.log("nobody")


def answers_that(client: Client, number: int, calls: Any) -> dict[str, dict[str, Any]]:
    """The next answers to some of these calls, so many."""
    found: dict[str, dict[str, Any]] = {}
    while len(found) < number:
        tone = client.read()
        if tone["chi"] in ("tool-result", "error") and tone.get("callId") in calls:
            found[tone["callId"]] = tone
    return found


def wait_received(client: Client, calls: Iterable[str]) -> None:
    """Return once these calls have reached their humfs: a later one of each conversation has an
    answer, and needs no thread for it.
    """
    later = {send(client, "humfs_bash", sid=f"sid-{one}", command="ls") for one in calls}
    for tone in answers(client, later).values():
        assert tone["metadata"]["error"] == "routed"
