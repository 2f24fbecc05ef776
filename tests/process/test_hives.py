"""`hum hive` and `hum nest` with real processes: a change touches the hive that changed, only."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from tests.support.home import Home, new_home

pytestmark = [pytest.mark.process, pytest.mark.timeout(90)]

ENDLESS = "import signal; signal.pause()"


@pytest.fixture
def home() -> Iterator[Home]:
    """Two hives of a program that only waits, and nothing else."""
    with new_home() as home:
        home.only(f"SERVICE base\nRUN {home.program(ENDLESS)}")
        for name in ("one", "two"):
            orchfile(home, name)
        yield home


def orchfile(home: Home, name: str, *more: str) -> Path:
    path = home.directory / "config" / "hum" / "orch.d" / f"{name}.orch"
    lines = ("ORCH_VERSION 0.2.1", f"SERVICE {name}", "RUN ${PYTHON} ${FAKE}", *more)
    path.write_text("\n".join(lines) + "\n")
    return path


def pids(home: Home) -> dict[str, int | None]:
    services = home.json("status")["services"]
    return {one["name"]: one["pid"] for one in services if one["state"] == "running"}


def planned(home: Home) -> list[tuple[str, str]]:
    return [(one["service"], one["what"]) for one in home.json("nest", "plan")["changes"]]


@pytest.mark.parametrize(
    ("more", "what"),
    [("ENV A=1", "restarted"), ("TIMEOUT_STOP 3s", "changed")],
    ids=["a launch spec", "a section"],
)
def test_a_changed_orchfile_restarts_that_bee_only(home: Home, more: str, what: str) -> None:
    """Features B2: the pids of the rest are unchanged."""
    home.hum("up")
    before = pids(home)
    orchfile(home, "one", more)

    decided = planned(home)
    applied = home.json("nest", "apply")
    after = pids(home)

    assert decided == [("one", what)]
    assert [one["service"] for one in applied["changed"]] == ["one"]
    assert after["one"] not in (None, before["one"])
    assert {**before, "one": 0} == {**after, "one": 0}
    assert planned(home) == []


def test_orchfiles_that_come_and_go_are_taken_over_while_hum_runs(home: Home) -> None:
    home.hum("up")
    before = pids(home)
    orchfile(home, "three")
    orchfile(home, "one").unlink()

    decided = planned(home)
    home.hum("nest", "apply")
    after = pids(home)

    assert decided == [("three", "added"), ("one", "removed")]
    assert after.keys() == (before.keys() | {"three"}) - {"one"}
    assert all(after[name] == before[name] for name in ("base", "two", "orch"))
    left = {path.name for path in (home.state / "supervisor" / "programs").iterdir()}
    assert not {"hum-one.conf", "one.json", "one.starts"} & left


def test_a_change_that_was_cut_short_is_finished_by_the_next(home: Home) -> None:
    """The files are in place already, and supervisord has not been told of them."""
    home.hum("up")
    programs = home.state / "supervisor" / "programs"
    orchfile(home, "three")
    told = home.json("nest", "render", "three")["files"]
    for path, content in told.items():
        Path(path).write_text(content)
    orchfile(home, "one", "ENV A=1")

    done = home.hum("nest", "apply")
    started = home.json("hive", "start", "three")

    assert done.returncode == 0, done.stderr
    assert started["not_ready"] == []
    assert pids(home).keys() >= {"one", "two", "three"}
    assert not list(programs.glob("*.new"))


def test_a_hive_is_stopped_started_and_restarted_alone(home: Home) -> None:
    home.hum("up")
    before = pids(home)

    stopped = home.json("hive", "stop", "one")
    without = pids(home)
    orchfile(home, "one", "ENV A=1")
    orchfile(home, "two", "ENV A=1")
    home.hum("hive", "start", "one")
    begun = pids(home)
    again = home.json("hive", "restart", "one")
    unknown = home.hum("hive", "start", "nobody")

    assert stopped["stopped"] == ["one"]
    assert without.keys() == before.keys() - {"one"}
    assert begun["one"] not in (None, before["one"])
    assert begun["two"] == before["two"]  # its change was not asked for
    assert planned(home) == [("two", "restarted")]
    assert again["started"] == ["one"]
    assert pids(home)["one"] not in (None, begun["one"])
    assert unknown.returncode == 1
    assert "there is no hive 'nobody'; there are: " in unknown.stderr


def test_a_bee_that_was_restarted_is_ready_when_humd_knows_the_new_one() -> None:
    with new_home() as home:
        home.hum("up")
        for verb in (("hive", "restart", "scout"), ("update", "--restart")):
            before = connections(home, "scout")

            assert home.hum(*verb).returncode == 0

            assert connections(home, "scout") - before
            assert home.hum("ask", "hi").returncode == 0


def connections(home: Home, name: str) -> set[str]:
    known = orjson.loads((home.state / "bees.json").read_bytes())
    return {connection for connection, bee in known.items() if bee["name"] == name}


def test_what_was_stopped_by_hand_stays_so_when_its_command_changes(home: Home) -> None:
    home.hum("up")
    home.hum("hive", "stop", "one")
    orchfile(home, "one", "ENV A=1")

    home.hum("nest", "apply")

    assert "one" not in pids(home)
    assert planned(home) == []


def test_a_switch_holds_now_and_at_the_next_start(home: Home) -> None:
    home.hum("up")
    before = pids(home)

    home.hum("hive", "disable", "one")
    off = pids(home)
    home.hum("down")
    home.hum("up")
    still_off = pids(home)
    home.hum("hive", "enable", "one")
    on = pids(home)

    assert off == {name: pid for name, pid in before.items() if name != "one"}
    assert still_off.keys() == off.keys()
    assert on == {**still_off, "one": on["one"]}


def test_a_dry_run_of_each_changing_verb_changes_nothing(home: Home) -> None:
    home.hum("up")
    orchfile(home, "one", "ENV A=1")
    before = pids(home), sorted(str(path) for path in home.directory.rglob("*"))

    for words in (
        ("nest", "apply"),
        ("hive", "restart", "one"),
        ("hive", "start", "one"),
        ("hive", "stop", "one"),
        ("hive", "disable", "one"),
        ("hive", "enable", "one"),
    ):
        done = home.hum(*words, "--dry-run")
        assert done.returncode == 0, done.stderr

    assert (pids(home), sorted(str(path) for path in home.directory.rglob("*"))) == before


def test_supervisorctl_behind_our_back_is_seen_and_not_repaired(home: Home) -> None:
    """Features B6, as far as the command line tells it."""
    home.hum("up")
    conf = home.json("status")["supervisor_conf"]
    ctl = [sys.executable, "-m", "supervisor.supervisorctl", "-c", conf]

    subprocess.run([*ctl, "stop", "hum-one"], env={}, check=True, stdout=subprocess.DEVNULL)
    rows = [orjson.loads(line) for line in home.hum("nest", "--json").stdout.splitlines()]

    (one,) = (row for row in rows if row["service"] == "one")
    assert (one["state"], one["ready"], one["on"]) == ("stopped", False, True)
    assert home.hum("nest").returncode == 1
    assert planned(home) == []


def test_a_hive_that_does_not_get_ready_is_named_with_its_log(home: Home) -> None:
    home.hum("up")
    orchfile(home, "one", "SOCKET_READY nobody", "READINESS_TIMEOUT 1s")

    started = home.hum("hive", "restart", "one")

    assert started.returncode == 1
    assert "one is not ready: humd does not know the bee nobody" in started.stderr
    assert started.stderr.rstrip().endswith("hum logs one")


def test_a_stubborn_hive_is_killed_in_its_time(home: Home) -> None:
    """supervisord kills it; we wait for as long, and not for a fixed answer."""
    said = home.directory / "said"
    home.program(
        "import os, signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"open({str(said)!r}, 'w').close()\n"
        "while True: signal.pause()"
    )
    orchfile(home, "one", "TIMEOUT_STOP 1s")
    orchfile(home, "two").unlink()
    home.hum("up")
    while not said.exists():
        time.sleep(0.02)  # allowed: another process gets there, and nobody tells us
    before = pids(home)

    stopped = home.hum("hive", "stop", "one")

    assert stopped.returncode == 0, stopped.stderr
    assert pids(home).keys() == before.keys() - {"one"}


def test_without_hum_every_verb_that_needs_it_says_so_with_69(home: Home) -> None:
    for words in (
        ("nest",),
        ("nest", "plan"),
        ("nest", "apply"),
        ("hive", "start", "one"),
        ("hive", "stop", "one"),
        ("hive", "restart", "one"),
    ):
        done = home.hum(*words)
        assert (words, done.returncode) == (words, 69)
        assert done.stderr.rstrip().endswith("hum up")
    assert home.hum("hive").returncode == 0
