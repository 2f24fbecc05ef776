"""Hives, switches and plans: what is compared, and what becomes of each service."""

import os
from pathlib import Path

import pytest

from hum.applying import compiled
from hum.hives import NoHive, hive_named, hives, services_of
from hum.plan import What, plan
from hum.stack import Stack, compile_stack, read_arguments, write_stack
from hum.switches import switched, write_switches
from nest.paths import Paths
from nest.settings import load
from orch.core.orchfile import OrchfileRefused
from thrum.errors import SettingsRefused


@pytest.fixture
def paths(home: Path) -> Paths:
    paths = Paths.from_environment(os.environ)
    paths.orch_d.mkdir(parents=True)
    paths.hum_json.write_text('{"front": {"port": 0}, "sidecar": {"port": 0}}')
    return paths


def stack_of(paths: Paths, **environ: str) -> Stack:
    return compile_stack(paths, load(paths, {}), environ, wanted={"openai": True})


def files_of(stack: Stack) -> dict[str, bytes]:
    return {name: data for program in stack.programs for name, data in program.files.items()}


def test_equal_orchfiles_give_equal_bytes_and_an_empty_plan(paths: Paths) -> None:
    """Features B1: compiling twice is byte-equal."""
    first, second = stack_of(paths), stack_of(paths)

    assert (first.master, files_of(first)) == (second.master, files_of(second))
    assert plan(second, files_of(first), master=first.master).changes == ()


def test_a_plan_tells_what_becomes_of_each_service(paths: Paths) -> None:
    mine = paths.orch_d / "mine.orch"
    mine.write_text("SERVICE a\nRUN x\nSERVICE b\nRUN x\nSERVICE c\nRUN x\nSERVICE d\nRUN x\n")
    before = stack_of(paths)
    mine.write_text(
        "SERVICE a\nRUN y\nSERVICE b\nRUN x\nDISABLED true\nSERVICE d\nRUN x\nSERVICE e\nRUN x\n"
    )
    after = stack_of(paths)

    decided = plan(after, files_of(before), master=before.master + "x")
    some = plan(after, files_of(before), master=before.master + "x", only={"a"})

    found = {one.service: (one.what, one.was_off, one.is_off) for one in decided.changes}
    assert found == {
        "a": (What.RESTARTED, False, False),
        "b": (What.CHANGED, False, True),
        "c": (What.REMOVED, False, False),
        "e": (What.ADDED, False, False),
    }
    assert (decided.master, some.master) == (True, False)
    assert [one.service for one in some.changes] == ["a"]


def test_orchfiles_are_compiled_again_as_the_start_that_runs_was_given_them(paths: Paths) -> None:
    for directory in (paths.state, paths.supervisor, paths.supervisor_programs):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    (paths.orch_d / "mine.orch").write_text("ARG X=1\nSERVICE a\nRUN x ${X}\n")
    begun = stack_of(paths, ORCH_ARG_X="2")
    write_stack(begun, paths)

    again = compile_stack(paths, load(paths, {}), {}, wanted={}, arguments=read_arguments(paths))

    assert files_of(again) == files_of(begun)
    assert files_of(stack_of(paths)) != files_of(begun)


def test_a_hive_is_a_file_that_introduces_services(paths: Paths) -> None:
    (paths.orch_d / "mine.orch").write_text(
        "SERVICE scout\nDISABLED true\nSERVICE b\nRUN x\nAFTER a\nSERVICE a\nRUN x\n"
    )
    found = hives(stack_of(paths), paths)

    mine = hive_named(found, "b")
    assert [service.name for service in mine.services] == ["b", "a"]
    assert (mine.source, hive_named(found, "scout").source) == ("own", "bundled")
    assert not hive_named(found, "scout").is_on
    assert hive_named(found, "a") == mine
    assert [one.name for one in services_of(found, ["b"])] == ["a", "b"]  # by their needs
    assert [one.name for one in services_of(found, ["a", "scout"])] == ["a", "scout"]
    with pytest.raises(NoHive, match="no hive 'x'"):
        services_of(found, ["scout", "x"])


def test_a_switch_beats_every_other_orchfile_and_goes_with_its_hive(paths: Paths) -> None:
    mine = paths.orch_d / "zz.orch"
    mine.write_text("SERVICE scout\nDISABLED false\nSERVICE a\nRUN x\n")
    write_switches(paths, switched(paths, {"scout": False}))
    write_switches(paths, switched(paths, {"a": False}))

    off = {one.name for one in compiled(paths, os.environ).services if one.disabled}
    mine.unlink()
    without = {one.name for one in compiled(paths, os.environ).services}
    write_switches(paths, switched(paths, {"scout": True, "a": None}))

    assert {"scout", "a"} <= off
    assert "a" not in without
    assert "SERVICE a\n" not in paths.hives_orch.read_text()
    assert "scout" in {one.name for one in compiled(paths, os.environ).started}


def test_switches_with_more_in_them_are_not_overwritten(paths: Paths) -> None:
    paths.hives_orch.write_text("SERVICE scout\nENV A=1\n")

    with pytest.raises(OrchfileRefused, match=r"hives\.orch:2: ENV: only DISABLED belongs here"):
        switched(paths, {"scout": False})


def test_a_pipe_for_an_orchfile_is_refused_and_holds_nobody(paths: Paths) -> None:
    os.mkfifo(paths.orch_d / "mine.orch")

    with pytest.raises(SettingsRefused, match=r"mine\.orch: is no plain file"):
        stack_of(paths)
