"""The launcher as supervisord runs it, with a spec and the notes of earlier starts."""

import subprocess
import sys
from pathlib import Path

import orjson
import pytest

pytestmark = pytest.mark.process

LAUNCH = (
    "import sys; from orch import launch; launch.UNNOTED_SECONDS = 0.0; launch.main(sys.argv[1:])"
)
"""As `-m orch.launch`, but it does not wait when a start cannot be noted."""


def launch(folder: Path) -> subprocess.CompletedProcess[str]:
    spec = {
        "service": "one",
        "argv": [sys.executable, "-c", "print('it runs')"],
        "cwd": str(folder),
        "env": {},
        "env_files": [],
        "inherit": [],
        "limits": {},
        "mark": str(folder),
        "starts": {"file": str(folder / "starts"), "delay": 1, "burst": 3, "interval": 10},
    }
    (folder / "spec.json").write_bytes(orjson.dumps(spec))
    return subprocess.run(
        [sys.executable, "-P", "-c", LAUNCH, str(folder / "spec.json")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_start_is_noted_and_too_many_of_them_end_it(tmp_path: Path) -> None:
    for number in range(2):
        assert launch(tmp_path).stdout == "it runs\n"
        assert len((tmp_path / "starts").read_text().splitlines()) == number + 1
    launch(tmp_path)  # waits its delay

    given_up = launch(tmp_path)
    assert (given_up.returncode, given_up.stdout) == (111, "")
    assert "hum ctl start one" in given_up.stderr


def test_a_service_starts_when_the_disk_has_no_room_for_the_note(tmp_path: Path) -> None:
    (tmp_path / "starts.tmp").symlink_to("/dev/full")

    started = launch(tmp_path)

    assert (started.returncode, started.stdout) == (0, "it runs\n")


@pytest.mark.parametrize("torn", ["\0\0\0\0\n", "12.5\n", "12.5 0.0 7\n", "nan x\n"])
def test_a_torn_note_does_not_keep_a_service_from_starting(tmp_path: Path, torn: str) -> None:
    (tmp_path / "starts").write_text(torn)

    assert launch(tmp_path).stdout == "it runs\n"


def test_what_cannot_be_started_is_told_with_the_status_that_is_not_retried(tmp_path: Path) -> None:
    (tmp_path / "starts").mkdir()

    refused = launch(tmp_path)

    assert (refused.returncode, refused.stdout) == (78, "")
    assert "cannot start" in refused.stderr
