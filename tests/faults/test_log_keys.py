"""A change of key, killed at every system call that changes the disk (`reliability A5, F2`)."""

from collections import Counter
from pathlib import Path

import pytest
from tests.faults.rigs.strace import CALLS, call_of, require_strace, traced
from tests.support.stack import Stack

from nest.paths import Paths
from thehum.core.audit import Author, audit
from thehum.edge.directory import segments_in
from thehum.edge.keys import Keyring
from thehum.edge.log import Log
from thehum.edge.sealed import read_segment

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]
SEGMENT_BYTES = 64 * 1024


def opened(paths: Paths) -> tuple[Log, Keyring]:
    keyring = Keyring(paths)
    log = Log(
        paths.thehum,
        keyring.identity,
        later=keyring.chain.events,
        segment_bytes=SEGMENT_BYTES,
    )
    keyring.settle(log)
    return log, keyring


def begin(paths: Paths) -> None:
    log, _ = opened(paths)
    log.close()


def change(paths: Paths) -> None:
    log, keyring = opened(paths)
    keyring.rotate(log)
    log.close()


def home_at(home: Path) -> Paths:
    home.mkdir()
    return Stack(home, services=()).paths


def wrong(paths: Paths) -> str | None:
    """What is wrong after a crash; None when the log starts, verifies and changes its key again."""
    log, keyring = opened(paths)
    if log.read_only is not None:
        return log.read_only
    if keyring.key.public != log.keys.public:
        return "the key that signs is not the one that the log says"
    before = len(log.keys.events)
    if before not in (1, 2):
        return f"{before} events about keys"
    keyring.rotate(log)
    log.close()
    root = paths.thehum
    author = Author(hid=log.author, public=log.public)
    report = audit(segments_in(root), lambda first: read_segment(root, first), author, every=True)
    if report.damage is not None:
        return str(report.damage)
    return None if len(report.keys.events) == before + 1 else "the second change is not there"


def test_a_change_of_key_that_is_killed_anywhere_leaves_a_log_that_goes_on(tmp_path: Path) -> None:
    require_strace(tmp_path)
    runs = 0

    def run(inject: str | None) -> tuple[Paths, list[str]]:
        nonlocal runs
        runs += 1
        paths = home_at(tmp_path / f"{runs}")
        begin(paths)
        done = traced(lambda: change(paths), tmp_path / "trace", inject)
        return paths, done.lines

    paths, lines = run(None)
    assert wrong(paths) is None
    seen: Counter[str] = Counter()
    points = []
    for line in lines:
        name = call_of(line)
        seen[name] += 1
        if name in CALLS and name != "openat":
            points.append((name, seen[name]))
    found = []
    for name, number in points:
        paths, _ = run(f"{name}:signal=KILL:when={number}")
        found.append((name, number, wrong(paths)))

    assert len(found) > 20
    assert [one for one in found if one[2] is not None] == []


def test_control_a_key_that_is_replaced_before_the_log_says_so_is_lost(tmp_path: Path) -> None:
    """Had the file changed first, a crash there would leave a log whose key is gone."""
    paths = home_at(tmp_path / "home")
    begin(paths)

    paths.humd_next_key.replace(paths.humd_key)

    with pytest.raises(Exception, match="another key"):
        opened(paths)
