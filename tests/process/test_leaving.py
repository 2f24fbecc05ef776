"""`hum uninstall`, `hum update` and `hum ensemble`, as a person types them."""

import os
from collections.abc import Iterator

import orjson
import pytest
from tests.support.home import Home, new_home, survivors

from nest.version import HUM_VERSION

pytestmark = [pytest.mark.process, pytest.mark.timeout(90)]


@pytest.fixture
def home() -> Iterator[Home]:
    with new_home() as home:
        yield home


def listing(home: Home) -> set[str]:
    return {str(path.relative_to(home.directory)) for path in home.directory.rglob("*")}


def test_uninstall_keeps_the_log_and_the_settings_and_purge_keeps_nothing_of_hums(
    home: Home,
) -> None:
    """Experience 3.5 and 3.6: what was made can be removed, and nothing else is."""
    before = listing(home)
    assert home.hum("up").returncode == 0
    home.hum("hive", "disable", "scout")
    during = listing(home)

    dry = home.json("uninstall", "--dry-run")
    asked = home.hum("uninstall")
    assert listing(home) >= during
    removed = home.json("uninstall", "--yes")
    kept = listing(home)
    verified = home.hum("thehum", "verify")
    (home.state / "notes").write_text("a person's")
    purged = home.json("uninstall", "--purge", "--yes")

    assert {**dry, "dry_run": False, "left": []} == removed
    assert asked.returncode == 2
    assert "nobody can be asked here" in asked.stderr
    assert survivors(home) == []
    assert {"state/hum/thehum", "state/hum/humd.key", "config/hum/hum.json"} <= kept
    assert not {"state/hum/supervisor", "state/hum/logs", "state/hum/bees.json"} & kept
    assert (verified.returncode, "chain ok" in verified.stdout) == (0, True)
    assert purged["left"] == [str(home.state / "notes")]
    parents = {"state", "state/hum", "state/hum/notes"}
    assert {path for path in listing(home) - before if not path.startswith("run/")} == parents
    assert "config/hum/hum.json" not in listing(home)


def test_uninstall_where_nothing_is_finds_nothing(home: Home) -> None:
    (home.directory / "config" / "hum" / "hum.json").unlink()
    before = listing(home)

    removed = home.json("uninstall", "--purge", "--yes")

    assert (removed["removed"], removed["left"]) == ([], [])
    assert listing(home) <= before


def test_update_tells_what_runs_and_restarts_it_in_order_one_after_another(home: Home) -> None:
    few = home.directory / "config" / "hum" / "orch.d" / "few.orch"
    few.parent.mkdir()
    few.write_text(
        "".join(f"SERVICE {one}\nDISABLED true\n" for one in ("front", "humfs", "sidecar"))
    )
    nothing = home.json("update")
    home.hum("up")
    before = {one["name"]: one["pid"] for one in home.json("status")["services"] if one["pid"]}

    told = home.json("update")
    dry = home.json("update", "--restart", "--dry-run")
    done = home.json("update", "--restart")
    after = {one["name"]: one["pid"] for one in home.json("status")["services"] if one["pid"]}

    assert (nothing["installed"], nothing["running"], nothing["older"]) == (HUM_VERSION, {}, [])
    assert told["running"]["humd"] == told["running"]["scout"] == HUM_VERSION
    assert told["older"] == []
    assert dry["restarted"] == done["restarted"]
    assert done["restarted"][:2] == ["thehum", "humd"]
    assert done["not_ready"] is None
    assert after.keys() == before.keys()
    assert {name for name in after if after[name] == before[name]} == {"orch"}


def test_update_names_services_that_run_another_version(home: Home) -> None:
    state = home.state
    state.mkdir(parents=True, mode=0o700)
    told = {
        "socket": str(state / "thrum.sock"), "pid": os.getpid(), "version": "0.0.1",
        "thrum_version": "0.7.0", "bound_at_ms": 1,
    }  # fmt: skip
    (state / "runtime.json").write_bytes(orjson.dumps(told))

    found = home.hum("update", "--json")

    assert found.returncode == 1
    assert orjson.loads(found.stdout)["older"] == ["humd"]


def test_update_without_hum_restarts_nothing(home: Home) -> None:
    assert home.hum("update", "--restart").returncode == 69


def test_the_ensemble_is_told_as_it_is_and_no_key_is_made(home: Home) -> None:
    before = listing(home)

    alone = home.hum("ensemble", "--json")
    peers = home.directory / "config" / "hum" / "peers.json"
    peers.write_text('{"peers": [{"humd_id": "humd_1"}]}')
    written = home.hum("ensemble", "--json")
    peers.write_text("{")
    broken = home.hum("ensemble")

    assert alone.returncode == 0
    told = orjson.loads(alone.stdout)
    assert (told["id"], told["peers"], told["connected"]) == (None, [], [])
    assert "no service of this version speaks to other machines" in told["why"]
    assert listing(home) - {"config/hum/peers.json"} == before
    assert written.returncode == 1
    assert orjson.loads(written.stdout)["peers"] == [{"humd_id": "humd_1"}]
    assert (broken.returncode, "no JSON" in broken.stderr) == (1, True)
