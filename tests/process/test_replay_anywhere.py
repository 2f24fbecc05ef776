"""One recorded log, replayed in processes that have nothing else in common (features A12).

The hash seed, the time zone, the home, the locale and the clock are different in each; the root of
the state is not.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import anyio
import orjson
import pytest
from tests.support import busy_day
from tests.support.stack import CORE, REPOSITORY, Stack

pytestmark = [pytest.mark.process, pytest.mark.timeout(60)]

PLACES: tuple[Mapping[str, str], ...] = (
    {"PYTHONHASHSEED": "0", "TZ": "UTC", "HOME": "/", "LC_ALL": "C"},
    {"PYTHONHASHSEED": "1", "TZ": "Asia/Kathmandu", "HOME": "/nowhere", "LC_ALL": "C.UTF-8"},
    {"PYTHONHASHSEED": "4294967295", "TZ": "America/St_Johns", "HOME": "/tmp", "LC_ALL": "C"},
)
ANOTHER_DAY = "2039-02-28 23:59:59"
LEAVES_MIN = 20
CHIS = {
    "hello", "prompt", "cancel", "cleanup", "curate", "release-permit", "tendril-result",
    "tool-result", "chunk", "finish", "error", "permission-ask", "tendril-reach", "tool-call",
    "perf-mark", "drone", "attach", "detach", "wane-sync", "bee-retract",
}  # fmt: skip
"""What the log has at least."""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log of a busy day, whose processes are gone."""
    kept = tmp_path_factory.mktemp("recorded") / "log"
    with Stack(services=CORE) as stack:
        anyio.run(busy_day.live, stack)
        stack.kill("humd")
        stack.kill("thehum")
        shutil.copytree(stack.paths.thehum, kept)
    return kept


def replayed(log: Path, place: Mapping[str, str], *before: str) -> dict[str, object]:
    """What a process of its own says of a replay."""
    command = [*before, sys.executable, "-m", "tests.support.replay_root", str(log)]
    paths = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'services'}"}
    done = subprocess.run(command, env={**paths, **place}, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return dict(orjson.loads(done.stdout))


def test_the_recorded_day_has_everything_in_it(recorded: Path) -> None:
    """The control of the tests below: a poor log would replay alike anywhere."""
    lines = [
        orjson.loads(line)
        for segment in sorted(recorded.glob("0*.ndjson"))
        for line in segment.read_bytes().rstrip(b"\0").split(b"\n")
        if line.endswith(b"}")
    ]

    assert {line["chi"] for line in lines} >= CHIS
    assert any(line["body"].get("@via", {}).get("peer") for line in lines)
    assert replayed(recorded, PLACES[0])["leaves"] > LEAVES_MIN  # type: ignore[operator]


def test_a_replay_comes_to_one_root_wherever_it_runs(recorded: Path) -> None:
    told = [replayed(recorded, place) for place in PLACES]

    assert len({str(one["root"]) for one in told}) == 1
    for key in ("hash", "zone", "home"):
        assert len({one[key] for one in told}) == len(PLACES), f"{key} was the same everywhere"
    assert len({one["locale"] for one in told}) == 2


def test_a_replay_comes_to_one_root_whenever_it_runs(recorded: Path) -> None:
    if not shutil.which("faketime"):
        pytest.skip("no faketime here: a replay cannot run on another day")

    now = replayed(recorded, PLACES[0])
    later = replayed(recorded, PLACES[0], "faketime", ANOTHER_DAY)

    assert later["root"] == now["root"]
    assert (later["year"], now["year"]) == (2039, now["year"])
    assert now["year"] != 2039


def test_a_log_that_differs_by_one_event_has_another_root(recorded: Path, tmp_path: Path) -> None:
    """The negative control: the root is of what is replayed."""
    shorter = tmp_path / "shorter"
    shutil.copytree(recorded, shorter)
    (*_, last) = sorted(shorter.glob("0*.ndjson"))
    lines = last.read_bytes().rstrip(b"\0").split(b"\n")
    events = [at for at, line in enumerate(lines) if line.endswith(b"}")]
    del lines[events[-1]]
    last.write_bytes(b"\n".join(lines))

    assert replayed(shorter, PLACES[0])["root"] != replayed(recorded, PLACES[0])["root"]
