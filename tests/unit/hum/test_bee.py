"""What `hum bee` says of each bee."""

from typing import Any

import pytest

from hum.bee import listing, state_of
from nest.supervisor import ProgramState


def program(name: str = "scout", state: str = "RUNNING", exit_status: int = 0) -> ProgramState:
    pid = 7 if state in ("RUNNING", "STOPPING") else 0
    return ProgramState(
        name=name, state=state, pid=pid, started_at=1, stopped_at=0, now=5,
        exit_status=exit_status, log="",
    )  # fmt: skip


def manifest(name: str = "scout", **fields: Any) -> dict[str, Any]:
    return {"name": name, "nestlerId": "i", "bee": ["worker"], "models": ["m"], **fields}


@pytest.mark.parametrize(
    ("state", "exit_status", "is_connected", "said"),
    [
        ("RUNNING", 0, True, "connected"),
        ("RUNNING", 0, False, "running, not connected"),
        ("STOPPED", 0, False, "stopped"),
        ("EXITED", 0, False, "stopped"),
        ("EXITED", 78, False, "stopped"),
        ("EXITED", 1, False, "⚠ crash-looping (exit 1)"),
        ("EXITED", 111, False, "⚠ crash-looping (exit 111)"),
        ("BACKOFF", 3, False, "⚠ crash-looping (exit 3)"),
        ("FATAL", 3, True, "⚠ crash-looping (exit 3)"),
    ],
)
def test_a_supervised_bee_is_as_both_sides_say(
    state: str, exit_status: int, is_connected: bool, said: str
) -> None:
    """Features A24: the exact text."""
    found = state_of(program(state=state, exit_status=exit_status), is_connected=is_connected)

    assert found == said


def test_bees_of_both_sources_are_listed_once_and_by_name() -> None:
    hid = "wbee_" + "1" * 64
    roots = [{"path": "/code", "mode": "ro"}]
    manifests = [manifest("zoe", roots=roots), manifest(hid=hid, tools=[{"name": "t"}, 7])]
    programs = [program(), program("humd"), program("thehum"), program("front")]

    rows = listing(manifests, programs)

    assert [(row["name"], row["state"]) for row in rows] == [
        ("front", "running, not connected"),
        ("scout", "connected"),
        ("zoe", "connected, unmanaged"),
    ]
    assert rows[2]["roots"] == ["/code (ro)"]
    scout = rows[1]
    assert (scout["hid"], scout["tools"], scout["models"]) == (hid, ["t"], ["m"])
    assert scout["service"] == {"state": "running", "pid": 7, "exit_status": None}
    assert rows[2]["service"] is None


def test_a_manifest_full_of_nonsense_is_still_a_row() -> None:
    wrong = manifest(bee=7, models=None, tools="no", propensity=[], bind=3, version=1.5)

    (row,) = listing([wrong], [])

    assert (row["roles"], row["models"], row["tools"], row["wire"]) == ([], [], [], None)
    assert row["version"] is None
