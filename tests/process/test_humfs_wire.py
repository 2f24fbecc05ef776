"""humfs as a bee among real processes (humfs 1, 12.6)."""

import fcntl
import signal
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.support.ndjson import Client
from tests.support.stack import QUIET_SETTINGS, Stack
from tests.unit.humfs.examples import A_PY

pytestmark = pytest.mark.process

IDLE_BYTES_MAX = 40 * 1024 * 1024


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.py").write_text(A_PY)
    (root / "z.txt").write_text("a" * 40 + "!\n")
    return root


@pytest.fixture
def stack(root: Path) -> Iterator[Stack]:
    settings = {**QUIET_SETTINGS, "fs": {"roots": [{"path": str(root)}]}}
    with Stack(services=("thehum", "humd", "thrumd"), settings=settings) as stack:
        stack.start("humfs")
        wait_for_humfs(stack)
        yield stack


@pytest.fixture
def client(stack: Stack) -> Iterator[Client]:
    with stack.client() as client:
        client.send(chi="hello", rid="hello", bee=["asker"], hive="test")
        client.read_until("breath")
        client.send(chi="attach", rid="attach", sid="s")
        yield client


def call(client: Client, call_id: str, **fields: Any) -> dict[str, Any]:
    """One call and its answer: a result, or an error of humd."""
    client.send(chi="tool-call", rid=call_id, sid="s", callId=call_id, **fields)
    while True:
        tone = client.read()
        is_error = tone["chi"] == "error" and tone.get("rid") in (call_id, None)
        if is_error or (tone["chi"] == "tool-result" and tone["callId"] == call_id):
            return tone


def wait_for_humfs(stack: Stack) -> None:
    """Return once calls reach humfs."""
    with stack.client() as client:
        client.send(chi="hello", rid="hello", bee=["asker"], hive="test")
        client.read_until("breath")
        numbers = count()

        def answers() -> bool:
            tone = call(client, f"ready-{next(numbers)}", toolName="humfs_read", args={})
            return bool(tone["chi"] == "tool-result")

        stack.wait_for(answers, "humfs among the tools")


def test_every_call_has_exactly_one_result(client: Client, root: Path) -> None:
    """humfs E150, E140."""
    path = f"{root}/a.py"
    exact = call(client, "exact", toolName="humfs_read", args={"file_path": path})
    named = call(client, "name", name="humfs_read", args={"file_path": "a.py"}, cwd=str(root))
    outside = call(client, "outside", toolName="humfs_read", args={"file_path": "/etc/passwd"})

    assert exact["sid"] == "s"
    assert exact["toolName"] == named["toolName"] == "humfs_read"
    assert exact["isError"] is False
    assert exact["title"] == path
    assert exact["metadata"]["symbols"] == 8
    assert exact["output"].startswith(f"=== {path} ===\n")
    assert named["metadata"]["path"] == path
    assert outside["metadata"]["error"] == "outside_roots"
    assert "fs.roots" in outside["output"]
    for at, args in enumerate(("text", None, {"file_path": 5})):
        wrong = call(client, f"wrong-{at}", toolName="humfs_read", args=args)
        assert wrong["isError"] is True
        assert wrong["metadata"]["error"] == "bad_args"


def test_a_replayed_call_is_answered_with_the_first_result(client: Client, root: Path) -> None:
    args = {"file_path": f"{root}/changing.txt"}
    (root / "changing.txt").write_text("before\n")
    first = call(client, "again", toolName="humfs_read", args=args)
    (root / "changing.txt").write_text("after\n")

    second = call(client, "again", toolName="humfs_read", args=args)

    assert "before" in first["output"]
    assert second["output"] == first["output"]


def test_a_cancelled_call_is_answered(client: Client, root: Path) -> None:
    """humfs 1.5: here while it waits for a file that somebody else has locked."""
    args = {"file_path": "z.txt", "replace": "other\n"}
    with (root / "z.txt").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        call = {"sid": "s", "callId": "slow"}
        client.send(chi="tool-call", rid="c", toolName="humfs_do_noncode", args=args, **call)
        client.send(chi="cancel", rid="x", **call)

        result = client.read_until("tool-result", callId="slow")

    assert result["metadata"]["error"] == "cancelled"
    assert (root / "z.txt").read_text() == "a" * 40 + "!\n"


def test_a_lease_is_in_the_answers_with_its_dusk(client: Client, root: Path) -> None:
    """Features E9."""
    (root / "a.txt").write_text("one\n")
    taken = call(client, "lease", toolName="humfs_lease", args={"file_path": f"{root}/a.txt"})
    client.send(chi="attach", rid="attach-t", sid="t")
    edit = {"file_path": f"{root}/a.txt", "word": "one", "replace": "two"}
    client.send(
        chi="tool-call", rid="e", sid="t", callId="e", toolName="humfs_do_noncode", args=edit
    )

    refused = client.read_until("tool-result", callId="e")

    assert taken["metadata"]["holder"] == "s"
    assert refused["metadata"]["error"] == "reserved"
    assert str(taken["metadata"]["dusk"]) in refused["output"]
    assert (root / "a.txt").read_text() == "one\n"


def test_results_survive_a_humd_that_restarts(stack: Stack, root: Path) -> None:
    stack.restart("humd")
    stack.wait_ready()
    wait_for_humfs(stack)

    with stack.client() as client:
        client.send(chi="hello", rid="hello", bee=["asker"], hive="test")
        client.read_until("breath")
        result = call(client, "restarted", toolName="humfs_read", args={"file_path": "a.py"})

    assert result["isError"] is False


def test_a_process_at_rest_is_small_and_ends_when_asked(stack: Stack) -> None:
    assert psutil.Process(stack.pid("humfs")).memory_info().rss < IDLE_BYTES_MAX
    assert stack.kill("humfs", signal.SIGTERM) == 0
