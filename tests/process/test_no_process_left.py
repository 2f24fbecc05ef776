"""The fixture `no_process_left` itself: each kind of left-over fails the test that left it."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTEST = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider"]
SLEEPER = """
import subprocess
import pytest

def test_it(home):
    global child
    child = subprocess.Popen(["sleep", "60"]{options})
"""
ORPHAN = """
import subprocess
import pytest

@pytest.mark.process
def test_it(home):
    subprocess.run(["sh", "-c", "sleep 60 &"], check=True)
"""
TIDY = """
import subprocess

def test_it(home):
    assert subprocess.run(["true"]).returncode == 0
"""


def outcome(folder: Path, source: str) -> str:
    """What pytest, with the project's fixtures, says of `source`."""
    file = folder / "test_it.py"
    file.write_text(source)
    command = [*PYTEST, "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(folder), str(file)]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    ).stdout


@pytest.mark.process
@pytest.mark.parametrize(
    "source",
    [SLEEPER.format(options=""), SLEEPER.format(options=", start_new_session=True"), ORPHAN],
    ids=["child", "child in a session of its own", "orphan"],
)
def test_a_test_that_leaves_a_process_fails(tmp_path: Path, source: str) -> None:
    said = outcome(tmp_path, source)

    assert "still running after the test" in said
    assert "sleep 60" in said


@pytest.mark.process
def test_a_test_that_ends_its_processes_passes(tmp_path: Path) -> None:
    said = outcome(tmp_path, TIDY)

    assert "1 passed" in said


@pytest.mark.process
def test_a_run_inside_a_test_ends_nothing_of_the_run_around_it(tmp_path: Path, home: Path) -> None:
    with subprocess.Popen(["sleep", "60"], env={"HOME": str(home)}) as ours:
        said = outcome(tmp_path, TIDY)
        is_alive = ours.poll() is None
        ours.kill()

    assert "1 passed" in said
    assert is_alive
