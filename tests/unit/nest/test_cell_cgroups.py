"""Groups of the kernel, where there are none or other ones."""

from pathlib import Path

from nest.cells.cgroups import MEMORY, PIDS, Cgroups, Group


def test_groups_of_version_2_need_their_controllers(tmp_path: Path) -> None:
    groups = Cgroups("test", ["0::/user/app/own"], root=tmp_path)

    assert groups.controllers == frozenset()
    assert groups.missing.keys() == {PIDS, MEMORY}


def test_what_is_missing_says_why() -> None:
    groups = Cgroups("test", [])

    assert groups.missing[PIDS] == "no cgroup with the pids controller"
    with groups.group({}) as group:
        assert group == Group()


def test_a_limit_that_was_enforced_is_seen(tmp_path: Path) -> None:
    """Both versions count, in files of other names."""
    (tmp_path / "memory.events").write_text("low 0\noom 2\noom_kill 1\n")
    (tmp_path / "pids.events").write_text("max 0\n")
    folders = {MEMORY: tmp_path, PIDS: tmp_path}

    assert Group(folders=folders).hits() == {MEMORY}
    (tmp_path / "pids.events").write_text("max 3\n")
    assert Group(folders=folders).hits() == {MEMORY, PIDS}
    (tmp_path / "memory.events").unlink()
    (tmp_path / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 0\n")
    assert Group(folders=folders).hits() == {PIDS}
