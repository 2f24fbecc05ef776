"""What cannot be used is refused: one text that says what, where and how to mend it, status 78.

Nothing is started and nothing is changed, whoever finds out: `hum up` before it starts anything, or
a service started by hand.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.support.home import Home, new_home, survivors

pytestmark = pytest.mark.process

NOBODY = 65_534


@pytest.fixture
def home() -> Iterator[Home]:
    with new_home() as home:
        yield home


def tree(directory: Path) -> list[str]:
    return sorted(str(path) for path in directory.rglob("*"))


def refused(home: Home, *said: str, **more: str) -> None:
    """`hum up` refuses with 78 and says all of this; nothing runs and nothing has changed."""
    before = tree(home.directory)

    up = home.hum("up", **more)

    assert up.returncode == 78, up.stderr
    assert up.stdout == ""
    assert "Traceback" not in up.stderr
    for words in said:
        assert words in up.stderr
    assert tree(home.directory) == before
    assert survivors(home) == []


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"front": {"prot": 14620}}, ["front.prot"]),
        ({"fornt": {}}, ["fornt"]),
        ({"front": {"port": "14620"}}, ["front.port", '"14620"', "whole number"]),
        ({"front": {"port": 70_000}}, ["front.port", "70000", "65535"]),
        ({"fs": {"roots": [{"path": "/x", "mode": "rx"}]}}, ["fs.roots", "rx", "ro"]),
        ({"front": {"port": -1}, "nest": {"maxActiveCells": 0}}, ["front.port", "maxActiveCells"]),
    ],
    ids=["unknown key", "unknown section", "type", "range", "choice", "two at once"],
)
def test_every_violation_of_the_settings_is_named(
    home: Home, sections: dict[str, Any], said: list[str]
) -> None:
    (home.directory / "config" / "hum" / "hum.json").write_bytes(orjson.dumps(sections))

    refused(home, "hum.json", *said)


def test_settings_that_are_no_json_are_refused_with_the_place(home: Home) -> None:
    (home.directory / "config" / "hum" / "hum.json").write_text('{"front": {,}}')

    refused(home, "hum.json", "JSON")


def test_a_socket_path_of_120_bytes_is_refused_with_its_length_and_the_limit(home: Home) -> None:
    state = home.directory / "s"
    suffix = "/hum/thrum.sock"
    long = "x" * (120 - len(str(state)) - 1 - len(suffix))

    refused(home, "107", "XDG_STATE_HOME", XDG_STATE_HOME=f"{state}/{long}")


def test_a_door_of_120_bytes_is_refused_with_the_variable_that_names_it(home: Home) -> None:
    path = f"{home.directory}/" + "x" * (120 - len(str(home.directory)) - 1)

    refused(home, "120", "107", "HUM_THRUM_SOCK", HUM_THRUM_SOCK=path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_log_directory_of_somebody_else_is_refused_with_its_owner(home: Home) -> None:
    log = home.state / "thehum"
    for directory in (home.state.parent, home.state, log):
        directory.mkdir(mode=0o700)
    os.chown(log, NOBODY, NOBODY)

    refused(home, str(log), str(NOBODY), "chown")


def test_a_state_directory_open_to_others_is_refused_with_the_mend(home: Home) -> None:
    home.state.mkdir(parents=True, mode=0o700)
    home.state.chmod(0o777)

    refused(home, str(home.state), "chmod")


@pytest.mark.parametrize("module", ["humd", "thehum", "thrumd", "foragers.front", "sidecar"])
def test_a_service_started_by_hand_refuses_in_the_same_way(home: Home, module: str) -> None:
    home.settings(front={"prot": 1})

    done = subprocess.run(
        [sys.executable, "-P", "-m", module],
        env=home.environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )

    assert done.returncode == 78
    (line,) = [orjson.loads(line) for line in done.stderr.splitlines()]
    assert "front.prot" in line["reason"]
    assert line["mend"]
