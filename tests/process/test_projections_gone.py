"""The log is the only store: what is computed from it may be deleted under a running system."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.support.home import Home, free_port, new_home

from nest.paths import Paths

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

OF_ONE_RUN = frozenset({"pid", "rss_bytes", "rss_bytes_total", "uptime_seconds", "head", "runtime"})
"""What no two runs have in common, whatever is deleted."""


@pytest.fixture
def home() -> Iterator[Home]:
    with new_home() as home:
        home.settings(
            front={"port": free_port()},
            sidecar={"port": free_port()},
            humd={"thehum": {"snapshotIntervalMs": 100}},
        )
        yield home


def lasting(found: Any) -> Any:
    """A status without what is of one run only."""
    if isinstance(found, dict):
        return {key: lasting(value) for key, value in found.items() if key not in OF_ONE_RUN}
    return [lasting(one) for one in found] if isinstance(found, list) else found


def computed(paths: Paths) -> list[Path]:
    """Every file and folder that is computed from the log."""
    log = paths.thehum
    return [
        paths.bees_json,
        paths.penny_json,
        paths.penny_copy,
        paths.drift,
        *(log / name for name in ("tiles", "snapshots", "root.txt", "witnessed", "keys.ndjson")),
    ]


def drift(paths: Paths) -> list[Any]:
    lines = b"".join(path.read_bytes() for path in sorted(paths.drift.glob("*.ndjson")))
    return [orjson.loads(line) for line in lines.splitlines()]


def test_nothing_is_lost_when_all_that_is_computed_is_deleted(home: Home) -> None:
    assert home.hum("up").returncode == 0
    for number in range(3):
        assert home.hum("ask", "--model", "scout", f"say {number}").returncode == 0
    paths = Paths.from_environment(home.environ)
    head = home.json("status")["log"]["head"]
    assert home.hum("down").returncode == 0
    assert home.hum("up").returncode == 0
    before, turns = home.json("status"), drift(paths)
    counted = orjson.loads(paths.penny_json.read_bytes())
    assert len(turns) == 3
    assert list((paths.thehum / "snapshots").iterdir())

    for path in computed(paths):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    assert home.hum("down").returncode == 0
    for path in computed(paths):  # the end of humd has written some of them again
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    assert home.hum("up").returncode == 0

    after = home.json("status")
    assert lasting(after) == lasting(before)
    assert after["log"]["head"] > head
    assert drift(paths) == turns
    while not paths.penny_json.exists():
        home.json("status")  # written once everything counted is on disk
    assert orjson.loads(paths.penny_json.read_bytes()) == counted
    assert home.hum("thehum", "verify", "--full").returncode == 0
    assert home.hum("thehum", "replay").returncode == 0
