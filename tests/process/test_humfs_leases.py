"""Leases of files between sessions (features E9)."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults.rigs.forks import ended, forked
from tests.support.humfs import Tools, humfs

from humfs.core.leases import LEASES_MAX, LEASES_OF_ONE_MAX, Lease, Leases, TooMany
from humfs.edge.lease_file import LeaseFile
from humfs.tools.lease import LeaseTool

pytestmark = pytest.mark.process


class Clock:
    """Wall-clock time that a test moves."""

    def __init__(self) -> None:
        self.ms = 1_000_000

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "w"
    root.mkdir()
    (root / "a.txt").write_text("one\n")
    (root / "a.py").write_text("x = 1\n")
    return root


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tools(root: Path, tmp_path: Path, clock: Clock) -> Iterator[Tools]:
    with humfs((root, "rw"), state=tmp_path / "state", clock=clock) as tools:
        yield tools


def lease(tools: Tools, sid: str, **args: object) -> str:
    """Ask for a lease; the error, empty when it was given."""
    return str(tools.call("humfs_lease", args, sid=sid).metadata.get("error", ""))


def edits(tools: Tools, sid: str) -> list[str]:
    """The errors of every kind of change of both files, all of which leave them as they were."""
    calls: list[tuple[str, dict[str, str]]] = [
        ("humfs_do_noncode", {"file_path": "a.txt", "word": "one", "replace": "two"}),
        ("humfs_do_noncode", {"file_path": "a.txt", "word": "two", "replace": "one"}),
        ("humfs_do_noncode", {"file_path": "a.txt", "operation": "move", "new_path": "b.txt"}),
        ("humfs_do_noncode", {"file_path": "b.txt", "operation": "move", "new_path": "a.txt"}),
        ("humfs_do_code", {"file_path": "a.py", "symbol": "x", "new_source": "x = 2"}),
        ("humfs_do_code", {"file_path": "a.py", "new_source": "x = 1\n"}),
    ]
    results = [tools.call(tool, args, sid=sid) for tool, args in calls]
    return [str(one.metadata.get("error", "")) for one in results]


def test_what_one_session_leased_is_refused_to_others_with_holder_and_end(
    tools: Tools, root: Path, clock: Clock
) -> None:
    """Features E9."""
    assert lease(tools, "mine", file_path="a.txt", seconds=60) == ""
    clock.ms += 20_000

    refused = tools.call(
        "humfs_do_noncode", {"file_path": "a.txt", "word": "one", "replace": "two"}, sid="other"
    )
    away = tools.call(
        "humfs_do_noncode", {"file_path": "a.txt", "operation": "remove"}, sid="other"
    )
    own = tools.call(
        "humfs_do_noncode", {"file_path": "a.txt", "word": "one", "replace": "two"}, sid="mine"
    )

    assert refused.metadata["error"] == away.metadata["error"] == "reserved"
    assert "mine" in refused.output
    assert "in 40 s" in refused.output
    assert str(1_060_000) in refused.output
    assert not own.is_error
    assert not tools.call("humfs_read", {"file_path": "a.txt"}, sid="other").is_error
    assert (root / "a.txt").read_text() == "two\n"


def test_a_lease_of_a_directory_covers_what_is_below_and_what_is_not_there_yet(
    tools: Tools, root: Path
) -> None:
    assert lease(tools, "mine", file_path=".") == ""

    made = tools.call("humfs_do_noncode", {"file_path": "new/n.txt", "replace": "x\n"}, sid="other")
    code = tools.call(
        "humfs_do_code",
        {"file_path": "n.py", "operation": "create", "new_source": "x = 1\n"},
        sid="other",
    )

    assert made.metadata["error"] == code.metadata["error"] == "reserved"
    assert set(edits(tools, "other")) >= {"reserved"}
    assert edits(tools, "mine") == [""] * 6
    assert sorted(one.name for one in root.iterdir()) == ["a.py", "a.txt"]


def test_it_ends_at_its_dusk_although_its_holder_is_gone(
    tools: Tools, root: Path, tmp_path: Path, clock: Clock
) -> None:
    """Features E9."""

    reading, writing = os.pipe()

    def hold() -> None:
        with humfs((root, "rw"), state=tmp_path / "state", clock=clock) as holder:
            os.write(writing, lease(holder, "dead", file_path="a.txt", seconds=30).encode() + b".")
            signal.pause()

    pid = forked(hold)
    assert os.read(reading, 100) == b"."
    os.kill(pid, signal.SIGKILL)
    assert ended(pid) == -signal.SIGKILL
    before = lease(tools, "other", file_path="a.txt")
    clock.ms += 30_001

    assert before == "reserved"
    assert lease(tools, "other", file_path="a.txt") == ""


def test_it_is_given_back_by_its_holder_alone(tools: Tools) -> None:
    lease(tools, "mine", file_path="a.txt")

    assert lease(tools, "other", file_path="a.txt", release=True) == "not_found"
    assert lease(tools, "other", file_path="a.txt") == "reserved"
    assert lease(tools, "mine", file_path="a.txt", release=True) == ""
    assert lease(tools, "other", file_path="a.txt") == ""


def test_every_humfs_of_a_user_sees_the_same_leases(
    tools: Tools, root: Path, tmp_path: Path, clock: Clock
) -> None:
    with humfs((root, "rw"), state=tmp_path / "state", clock=clock) as second:
        lease(second, "mine", file_path="a.py", seconds=90)

        listed = tools.call("humfs_lease", {}, sid="other")

        assert lease(tools, "other", file_path="a.py") == "reserved"
    assert listed.output == f"[1 lease(s)]\n{root}/a.py\\x09held by mine for 90 s"
    assert listed.metadata["leases"] == [
        {"path": f"{root}/a.py", "holder": "mine", "dusk": clock.ms + 90_000}
    ]


def test_leases_are_bounded(clock: Clock) -> None:
    leases = Leases()
    for at in range(LEASES_OF_ONE_MAX):
        assert leases.taken(Lease(f"/w/{at}", "greedy", 1)) is None

    with pytest.raises(TooMany):
        leases.taken(Lease("/w/more", "greedy", 1))
    assert leases.taken(Lease("/w/1", "greedy", 2)) is None  # lengthened
    for at in range(LEASES_OF_ONE_MAX, LEASES_MAX):
        leases.taken(Lease(f"/v/{at}", f"s{at}", 1))
    with pytest.raises(TooMany):
        leases.taken(Lease("/u", "late", 1))


@pytest.mark.parametrize(
    "content", [b"", b"[", b"{}", b"[1, [2], [3, 4, 5]]", b'[["/a", "b", true]]']
)
def test_a_torn_file_holds_no_lease(tmp_path: Path, content: bytes, clock: Clock) -> None:
    (tmp_path / "s").mkdir(mode=0o700)
    (tmp_path / "s" / "leases").write_bytes(content)
    file = LeaseFile(tmp_path / "s" / "leases", clock=clock)

    with file.changing() as leases:
        assert leases.held == []
        leases.taken(Lease("/a", "b", clock.ms + 1))

    assert [one.holder for one in file.read().held] == ["b"]


@pytest.mark.parametrize(
    "args",
    [
        "text",
        {"file_path": 5},
        {"file_path": "a.txt", "seconds": 0},
        {"file_path": "a.txt", "seconds": 3_601},
        {"file_path": "a.txt", "seconds": True},
        {"file_path": "a.txt", "release": "yes"},
        {"release": True},
    ],
    ids=str,
)
def test_bad_arguments_are_named(tools: Tools, args: object) -> None:
    assert tools.call("humfs_lease", args).metadata["error"] == "bad_args"


def test_only_what_may_be_written_is_leased(tools: Tools) -> None:
    assert lease(tools, "s", file_path="../x") == "outside_roots"
    assert lease(tools, "s", file_path=".bashrc") == "denied"
    assert LeaseTool.name == "humfs_lease"
