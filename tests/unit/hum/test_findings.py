"""What `hum doctor` finds on disk, each fault by its name and with its mend."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from tests.unit.thehum.chains import AUTHOR, KEY, groups

from hum import commands, findings
from hum.__main__ import run
from hum.findings import Finding, on_disk
from nest.paths import Paths
from thehum.core.names import segment_name

Injure = Callable[[Paths], None]


@pytest.fixture
def paths(home: Path) -> Paths:
    found = Paths.from_environment(os.environ)
    for folder in (found.state, found.config, found.state / "bees", found.thehum):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return found


def bad(paths: Paths) -> list[Finding]:
    return [one for one in on_disk(paths, os.environ) if not one.ok]


def write(path: Path, content: bytes, mode: int = 0o600) -> None:
    path.write_bytes(content)
    path.chmod(mode)


def fill_log(paths: Paths, content: bytes) -> None:
    key = KEY.public.hex()
    write(paths.thehum_author, b'{"hid":"%b","pubkey":"%b"}' % (AUTHOR.encode(), key.encode()))
    write(paths.thehum / segment_name(1), content)


def replace_by_file(folder: Path) -> None:
    folder.rmdir()
    folder.touch()


def good_log() -> bytes:
    return groups((1, 2))[0]


FAULTS: list[tuple[str, str, Injure]] = [
    ("hum.json", "no.such.key", lambda p: write(p.hum_json, b'{"no.such.key": 1}')),
    ("hum.json", "hum.json", lambda p: write(p.hum_json, b"{")),
    ("peers.json", "list of peers", lambda p: write(p.peers_json, b'{"peers": 1}')),
    ("peers.json", "no JSON", lambda p: write(p.peers_json, b"[")),
    ("humd", "5 bytes", lambda p: write(p.humd_key, b"short")),
    ("humd", "humd.key", lambda p: write(p.humd_key, bytes(32), 0o644)),
    ("scout", "5 bytes", lambda p: write(p.bee_key("scout"), b"short")),
    ("hum", "open to other users", lambda p: p.state.chmod(0o755)),
    ("thehum", "is no directory", lambda p: replace_by_file(p.thehum)),
    ("chain", "damaged", lambda p: fill_log(p, good_log().replace(b"token 2", b"token 9"))),
]


def test_a_new_home_has_no_finding(home: Path) -> None:
    """Features A23: zero findings on a fresh install."""
    assert bad(Paths.from_environment(os.environ)) == []


def test_a_good_home_has_no_finding(paths: Paths) -> None:
    write(paths.hum_json, b"{}")
    write(paths.peers_json, b"[]")
    write(paths.humd_key, bytes(32))
    write(paths.bee_key("scout"), bytes(range(32)))
    fill_log(paths, good_log())

    assert bad(paths) == []


@pytest.mark.parametrize(("what", "said", "injure"), FAULTS)
def test_a_fault_is_named_with_what_mends_it(
    paths: Paths, what: str, said: str, injure: Injure
) -> None:
    """Features A23."""
    injure(paths)

    found = bad(paths)

    assert [one.what for one in found] == [what]
    assert said in found[0].said
    assert found[0].mend
    assert found[0].described()["ok"] is False


def test_a_clock_that_was_set_back_is_named(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    fill_log(paths, good_log())
    monkeypatch.setattr(time, "time_ns", lambda: 1_000_000)

    (found,) = bad(paths)

    assert (found.what, found.section) == ("clock", "log")
    assert "behind the log" in found.said


@pytest.mark.parametrize("what", ["disk", "descriptors"])
def test_too_little_room_is_named(paths: Paths, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    monkeypatch.setattr(findings, "FREE_BYTES_MIN", 2**62)
    monkeypatch.setattr(findings, "FREE_SHARE_MIN", 1.0)
    monkeypatch.setattr(findings, "DESCRIPTORS_MIN", 2**62)

    assert what in [one.what for one in bad(paths)]


def test_what_may_not_be_read_is_a_finding_and_no_end(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*_: object) -> list[Finding]:
        raise PermissionError(13, "Permission denied", "/a")

    monkeypatch.setattr(findings, "on_disk", refused)
    monkeypatch.setattr(Path, "glob", refused)

    assert run(commands.hum, ["doctor", "--json"]) == 1

    checks = {one["what"]: one for one in orjson.loads(capsys.readouterr().out)["checks"]}
    assert checks["hidden"]["mend"] == "ls -ld /a"
    assert "supervisord" in checks
