"""`humfs_bash` over the bus, with the real process (humfs 10, 12.5; features E7)."""

import os
import re
import signal
import time
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

import anyio
import orjson
import psutil
import pytest
from tests.process.test_doctor import doctor
from tests.process.test_sidecar import ask
from tests.support.bees import bee_named
from tests.support.ndjson import Client, Flat
from tests.support.sandbox import connected, needs_bubblewrap, run, send, wait_for_humfs
from tests.support.stack import QUIET_SETTINGS, Stack
from tests.support.trees import sleepers, survivors
from tests.unit.humfs.shell_lines import READ, RUN, WRITE

from humfs.core.sandbox.layers import Layer
from nest.bee import Bee
from thrum.tones import Tone

pytestmark = [pytest.mark.process, needs_bubblewrap]

GONE_SECONDS = 5.0
numbers = count(1)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("bash") / "root"
    root.mkdir()
    return root


@pytest.fixture(scope="module")
def stack(root: Path) -> Iterator[Stack]:
    yield from started(root)


@pytest.fixture
def own_stack(tmp_path: Path) -> Iterator[Stack]:
    """A stack whose humfs one test ends."""
    root = tmp_path / "root"
    root.mkdir()
    yield from started(root)


def started(root: Path) -> Iterator[Stack]:
    settings = {**QUIET_SETTINGS, "fs": {"roots": [{"path": str(root)}]}}
    with Stack(services=("thehum", "humd", "thrumd"), settings=settings) as stack:
        stack.start("humfs")
        wait_for_humfs(stack)
        yield stack


@pytest.fixture
def client(stack: Stack) -> Iterator[Client]:
    with connected(stack) as client:
        yield client


@pytest.fixture
def token() -> Iterator[str]:
    """Seconds for a `sleep` that only one test starts."""
    token = f"8{os.getpid()}{next(numbers)}"
    yield token
    for process in sleepers(token):
        process.kill()


def test_the_level_of_the_sandbox_is_told_everywhere(client: Client, stack: Stack) -> None:
    """reliability 6.2."""
    stack.start("sidecar")
    stack.wait_bee("sidecar")
    told = run(client, "true")["metadata"]

    def ready() -> bool:
        status, _, body = ask(stack, "/readyz")
        return status == 200 and orjson.loads(body)["sandbox"] == told["sandbox"]

    stack.wait_for(ready, "the level of the sandbox in /readyz")
    metrics = ask(stack, "/metrics")[2].decode()
    for layer in Layer:
        (line,) = re.findall(rf'^hum_humfs_sandbox_layer{{.*"{layer}".*}} (.*)$', metrics, re.M)
        assert float(line) == (layer not in told.get("sandboxMissing", []))
    assert run(client, " ")["metadata"]["sandbox"] == told["sandbox"]
    looked = doctor(stack)[1].values()
    level, *missing = (one for one in looked if one["section"] == "sandbox")
    assert level["said"].startswith(f"{told['sandbox']}; humfs_bash runs (")
    assert sorted(one["what"] for one in missing) == told.get("sandboxMissing", [])
    assert all(one["ok"] for one in (level, *missing))
    assert stack.kill("sidecar", signal.SIGTERM) == 0


def test_the_exit_status_is_told_and_is_no_error(client: Client) -> None:
    """humfs E134."""
    silent, said = run(client, "exit 42"), run(client, "echo a; exit 3")
    nothing = run(client, "true")

    assert (silent["output"], silent["isError"]) == ("(exit 42)", False)
    assert silent["metadata"]["exit"] == 42
    assert said["output"] == "a\n(exit 3)"
    assert (nothing["output"], nothing["metadata"]["exit"]) == ("(exit 0)", 0)


def test_standard_error_follows_in_a_block(client: Client) -> None:
    """humfs E135."""
    result = run(client, "echo out; echo err >&2", description="both")

    assert result["output"] == "out\n<stderr>\nerr\n</stderr>"
    assert result["title"] == "both"
    assert result["metadata"] == {
        "exit": 0,
        "description": "both",
        "interrupted": False,
        "stdoutBytes": 4,
        "stderrBytes": 4,
        "truncated": False,
        "cwd": result["metadata"]["cwd"],
        "durationMs": result["metadata"]["durationMs"],
        "sandbox": result["metadata"]["sandbox"],
        **({k: v for k, v in result["metadata"].items() if k == "sandboxMissing"}),
    }


def test_each_stream_is_capped_to_the_byte(client: Client) -> None:
    """humfs E136."""
    result = run(client, "seq -w 1 150000; printf 0123456789 >&2")

    out, _, err = result["output"].partition("\n<stderr>\n")
    head, marker, tail = out.partition(f"\n[{150_000 * 7 - 30_000} bytes left out]\n")
    whole = "".join(f"{number:06}\n" for number in range(1, 150_001))
    assert marker
    assert head == whole[:10_000]
    assert tail + "\n" == whole[-20_000:]
    assert err == "0123456789\n</stderr>"
    assert result["metadata"]["stdoutBytes"] == 150_000 * 7
    assert result["metadata"]["truncated"] is True


def test_a_timeout_ends_the_whole_tree(client: Client, token: str) -> None:
    """humfs E137."""
    began = time.monotonic()
    script = f"sleep {token} & setsid sleep {token} & trap '' TERM; sleep {token}"
    result = run(client, script, timeout=1_000)

    assert time.monotonic() - began < 20
    assert result["output"].startswith("Timed out after 1000 ms")
    assert result["metadata"]["exit"] == 124
    assert result["metadata"]["interrupted"] is True
    assert survivors(sleepers(token), seconds=0) == []


def test_a_child_in_the_background_does_not_hold_the_call(client: Client, token: str) -> None:
    """humfs E138."""
    result = run(client, f"sleep {token} & echo started")

    assert result["output"].startswith("started\n")
    assert "still running" in result["output"]
    assert result["metadata"]["exit"] == 0
    assert len(sleepers(token)) == 1


def test_characters_of_several_bytes_stay_whole(client: Client) -> None:
    """humfs E139."""
    result = run(client, "printf 'é%.0s' {1..100000}")

    assert result["output"].count("\N{REPLACEMENT CHARACTER}") <= 1
    assert result["metadata"]["stdoutBytes"] == 200_000
    assert len(result["output"].replace("\n", "").encode()) < 30_050


def test_output_of_a_long_command_is_heard_while_it_runs(client: Client, stack: Stack) -> None:
    send(client, "echo one; echo two >&2; read -t 600 <> <(:); echo never", "long")
    heard: dict[str, str] = {}
    while "one\n" not in heard.get("stdout", "") or "two\n" not in heard.get("stderr", ""):
        chunk = client.read_until("chunk", callId="long")
        assert chunk["chunkType"] == "tool_output"
        assert chunk["sid"] == "s"
        heard[chunk["stream"]] = heard.get(chunk["stream"], "") + chunk["delta"]
    client.send(chi="cancel", rid="stop", sid="s", callId="long")

    assert client.read_until("tool-result", callId="long")["metadata"]["error"] == "cancelled"
    assert heard == {"stdout": "one\n", "stderr": "two\n"}


def test_a_cancelled_command_ends_with_its_tree(client: Client, token: str) -> None:
    """humfs 1.5."""
    send(client, f"setsid sleep {token} & (sleep {token} &) ; echo up; wait; sleep {token}", "tree")
    client.read_until("chunk", callId="tree")
    assert sleepers(token)
    client.send(chi="cancel", rid="stop2", sid="s", callId="tree")

    result = client.read_until("tool-result", callId="tree")

    assert result["metadata"]["error"] == "cancelled"
    assert survivors(sleepers(token), seconds=0) == []


def test_a_cancel_of_the_conversation_ends_the_command_with_its_tree(
    client: Client, token: str
) -> None:
    """humfs 1.5: no call is named."""
    send(client, f"setsid sleep {token} & echo up; wait", "sid-tree")
    client.read_until("chunk", callId="sid-tree")
    assert sleepers(token)
    client.send(chi="cancel", rid="stop3", sid="s")

    result = client.read_until("tool-result", callId="sid-tree")

    assert result["metadata"]["error"] == "cancelled"
    assert survivors(sleepers(token), seconds=0) == []


async def test_a_cancelled_turn_ends_its_command_though_the_worker_does_nothing(
    stack: Stack, token: str
) -> None:
    """humfs 1.5: who asked cancels its turn, and the tree is gone when the call is answered."""
    worker = bee_named(stack, "deaf", "worker", models=("deaf",))
    asker = bee_named(stack, "hasty", "asker")
    async with anyio.create_task_group() as tasks:
        for bee in (worker, asker):
            await tasks.start(bee.run)
        await asker.send(Tone(chi="prompt", sid="turn", body={"modelId": "deaf", "content": "x"}))
        await heard(worker, "prompt")
        args = {"command": f"setsid sleep {token} & echo up; wait"}
        body = {"callId": "deaf", "toolName": "humfs_bash", "args": args}
        await worker.send(Tone(chi="tool-call", sid="turn", body=body))
        await heard(asker, "chunk")
        assert sleepers(token)

        await asker.send(Tone(chi="cancel", sid="turn", body={}))

        result = await heard(worker, "tool-result")
        assert result.body["metadata"]["error"] == "cancelled"
        assert survivors(sleepers(token), seconds=0) == []
        tasks.cancel_scope.cancel()


async def heard(bee: Bee, chi: str) -> Tone:
    """The next tone of this chi."""
    async for tone in bee.inbox:
        if tone.chi == chi:
            return tone
    raise AssertionError("an inbox never ends")


def test_other_tools_answer_while_many_commands_run(client: Client, token: str) -> None:
    for number in range(12):
        send(client, f"echo; exec sleep {token}", f"many{token}-{number}")
    client.read_until("chunk", callId=f"many{token}-11")

    client.send(
        chi="tool-call", rid="r", sid="s", callId=f"r{token}", toolName="humfs_read",
        args={"file_path": "."},
    )  # fmt: skip
    result = client.read_until("tool-result", callId=f"r{token}")

    assert result["isError"] is False
    for number in range(12):
        call_id = f"many{token}-{number}"
        client.send(chi="cancel", rid=f"x{call_id}", sid="s", callId=call_id)
    for _ in range(12):
        assert client.read_until("tool-result")["metadata"]["error"] == "cancelled"


def told_of(client: Client, scripts: Sequence[str]) -> dict[str, Flat]:
    """The result of each script; many at a time."""
    told: dict[str, Flat] = {}
    for start in range(0, len(scripts), 64):
        batch = scripts[start : start + 64]
        ids = {f"line-{next(numbers)}": script for script in batch}
        for call_id, script in ids.items():
            send(client, script, call_id, timeout=2_000)
        for _ in batch:
            tone = client.read_until("tool-result")
            told[ids[tone["callId"]]] = tone
    return told


def test_what_the_table_routes_is_refused_with_the_tool_to_use(client: Client) -> None:
    """features E7, humfs E133."""
    told = told_of(client, [*READ, *WRITE])

    for script, banned in {**READ, **WRITE}.items():
        metadata = told[script]["metadata"]
        assert metadata["error"] == "routed", script
        assert (metadata["banned"], metadata["command"]) == (banned, script)
        assert ("humfs_read" if script in READ else "humfs_do_") in told[script]["output"]


def require_ran(told: dict[str, Flat]) -> None:
    for script, result in told.items():
        assert not result["isError"], f"{script}: {result['output']}"
        assert "exit" in result["metadata"]


def test_what_the_table_lets_run_runs(client: Client) -> None:
    """features E7, humfs E133: some of it; nothing that stays in the background."""
    require_ran(told_of(client, [script for script in RUN if "&" not in script][::12]))


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_all_that_the_table_lets_run_runs(own_stack: Stack) -> None:
    """features E7, humfs E133. Some goes on in the background, until humfs ends."""
    with connected(own_stack) as client:
        require_ran(told_of(client, RUN))


def test_a_killed_humfs_leaves_nothing_and_a_stopped_one_takes_what_lingers(
    own_stack: Stack, tmp_path: Path, token: str
) -> None:
    """reliability F12, M11."""
    root = tmp_path / "root"
    with connected(own_stack) as client:
        script = f"setsid sleep {token} & (sleep {token} &) ; echo up; wait; sleep {token}"
        send(client, script, "kill")
        client.read_until("chunk", callId="kill")
        processes = sleepers(token)
        assert processes
        assert list(root.iterdir())
        children = psutil.Process(own_stack.pid("humfs")).children(recursive=True)
        own_stack.kill("humfs", signal.SIGKILL)

        assert survivors([*processes, *children], seconds=GONE_SECONDS) == []
    own_stack.start("humfs")
    wait_for_humfs(own_stack)
    assert list(root.iterdir()) == []
    assert list(own_stack.paths.masks.iterdir()) == []

    with connected(own_stack) as client:
        assert "still running" in run(client, f"sleep {token} & echo started")["output"]
    processes = sleepers(token)
    assert processes
    assert own_stack.kill("humfs", signal.SIGTERM) == 0
    assert survivors(processes, seconds=0) == []
    assert list(root.iterdir()) == []
