"""`humfs_bash` through the door of a real stack, for tests."""

import shutil
from itertools import count
from typing import Any

import pytest
from tests.support.ndjson import Client, Flat
from tests.support.stack import Stack

needs_bubblewrap = pytest.mark.skipif(
    shutil.which("bwrap") is None, reason="bubblewrap is not installed: scripts/test-packages"
)
REPLY_SECONDS = 60.0
"""How long a command may take on a machine that is busy; a bound, never a measure."""

_numbers = count(1)


def connected(stack: Stack) -> Client:
    """A client that hears what is said on the sid `s`."""
    client = stack.client(reply_seconds=REPLY_SECONDS)
    client.send(chi="hello", rid="hello", bee=["asker"], hive="test")
    client.read_until("breath")
    client.send(chi="attach", rid="attach", sid="s")
    return client


def send(
    client: Client, command: str, call_id: str, *, cwd: str | None = None, **args: Any
) -> None:
    """Ask for a command."""
    fields = {"toolName": "humfs_bash", "args": {"command": command, **args}}
    place = {"cwd": cwd} if cwd is not None else {}
    client.send(chi="tool-call", rid=call_id, sid="s", callId=call_id, **fields, **place)


def run(client: Client, command: str, **args: Any) -> Flat:
    """One command and its result."""
    call_id = f"run-{next(_numbers)}"
    send(client, command, call_id, **args)
    return client.read_until("tool-result", callId=call_id)


def wait_for_humfs(stack: Stack) -> None:
    """Return once calls reach humfs."""
    with connected(stack) as client:

        def answers() -> bool:
            call_id = f"ready-{next(_numbers)}"
            send(client, "", call_id)
            while True:
                tone = client.read()
                if tone["chi"] in ("tool-result", "error"):
                    return bool(tone["chi"] == "tool-result")

        stack.wait_for(answers, "humfs among the tools")
