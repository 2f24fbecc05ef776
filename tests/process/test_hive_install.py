"""`hum hive install` and `uninstall`: real folders, builds, processes and repositories."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import psutil
import pytest
from tests.support.home import Home, new_home

pytestmark = [pytest.mark.process, pytest.mark.timeout(90)]

ENDLESS = "import signal; signal.pause()"
BACKEND = r"""
import zipfile

FILES = {
    "mine.py": "import signal\ndef main(): signal.pause()\n",
    "mine-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: mine\nVersion: 1\n",
    "mine-1.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "mine-1.dist-info/entry_points.txt": "[console_scripts]\nmine = mine:main\n",
    "mine-1.dist-info/RECORD": "",
}

def build_wheel(to, config=None, metadata=None):
    with zipfile.ZipFile(to + "/mine-1-py3-none-any.whl", "w") as wheel:
        for name, text in FILES.items():
            wheel.writestr(name, text)
    return "mine-1-py3-none-any.whl"
"""
"""A build of Python that needs nothing from anywhere."""


@pytest.fixture
def home() -> Iterator[Home]:
    with new_home() as home:
        home.only(f"SERVICE base\nRUN {home.program(ENDLESS)}")
        yield home


def folder(home: Home, run: str, **files: str) -> Path:
    """A hive `mine` with an Orchfile and these files; `_` in a name stands for a dot."""
    place = home.directory / "hive"
    place.mkdir(exist_ok=True)
    (place / "Orchfile").write_text(f"ORCH_VERSION 0.2.1\n\nSERVICE mine\nRUN {run}\n")
    for name, text in files.items():
        path = place / name.replace("_", ".")
        path.write_text(text)
    return place


def listing(home: Home) -> set[str]:
    """Every file below the home, but for what a running hum writes by itself."""
    return {
        str(path.relative_to(home.directory))
        for path in home.directory.rglob("*")
        if not path.is_relative_to(home.state)
    }


def runs(home: Home) -> list[str]:
    """The command of the service, once the launcher has become it."""
    process = psutil.Process(home.service("mine")["pid"])
    while "orch.launch" in (command := process.cmdline()):
        time.sleep(0.02)  # allowed: another process gets there, and nobody tells us
    return command


def test_a_hive_is_installed_runs_and_is_removed_without_a_trace(home: Home) -> None:
    """Features B7: all writes are in our own folders, and what is recorded is what goes."""
    place = folder(home, "${PYTHON} ${HIVE}/source/bee.py", bee_py=ENDLESS)
    home.hum("up")
    before, base = listing(home), home.service("base")["pid"]

    dry = home.json("hive", "install", str(place), "--dry-run")
    untouched = listing(home)
    installed = home.json("hive", "install", str(place))
    during = listing(home)
    command = runs(home)
    row = home.json("hive", "show", "mine")
    (home.directory / "data" / "hum" / "hives" / "mine" / "notes").write_text("a person's")
    home.hum("hive", "disable", "mine")
    uninstalled = home.json("hive", "uninstall", "mine")

    assert untouched == before
    assert {**dry, "dry_run": False} == installed
    made = {str(Path(path).relative_to(home.directory)) for path in installed["writes"]}
    assert made <= during
    assert all(path.startswith(("data/hum/", "cache/hum", "config/hum/")) for path in made)
    assert all(
        path.startswith(("data", "cache", "config/hum/orch.d/mine")) for path in during - before
    )
    assert command[-1].endswith("/data/hum/hives/mine/1/source/bee.py")
    assert row["from"] == "installed"
    assert [os.path.basename(path) for path in uninstalled["left"]] == ["notes"]
    left = {path for path in listing(home) - before if not path.startswith("cache")}
    assert left == {
        "data", "data/hum", "data/hum/hives", "data/hum/hives/mine", "data/hum/hives/mine/notes",
        "config/hum/hives.orch",
    }  # fmt: skip
    assert "SERVICE mine" not in (home.directory / "config" / "hum" / "hives.orch").read_text()
    assert home.service("base")["pid"] == base
    assert home.hum("hive", "uninstall", "mine").returncode == 1


def test_a_failed_build_leaves_the_version_before_running(home: Home) -> None:
    """Features B7."""
    build = 'mkdir -p "$HIVE/bin"; printf "#!/bin/sh\nexec sleep 1000\n" > "$HIVE/bin/mine"\n{}\n'
    place = folder(home, "${HOME}/.local/bin/mine", build=build.format('chmod 700 "$HIVE"/bin/*'))
    home.hum("up")
    first = home.hum("hive", "install", str(place))
    before, files = home.service("mine")["pid"], listing(home)

    folder(home, "${HOME}/.local/bin/mine", build=build.format("echo oh no; exit 3"))
    failed = home.hum("hive", "install", str(place))
    after = home.service("mine")["pid"]
    unchanged = listing(home)
    folder(home, "${HOME}/.local/bin/mine", build=build.format('chmod 700 "$HIVE"/bin/*'))
    again = home.json("hive", "install", str(place))
    replaced = home.service("mine")["pid"]

    assert first.returncode == 0, first.stderr
    assert failed.returncode == 1
    assert "bash build exits with 3. It ended with:" in failed.stderr
    assert "oh no" in failed.stderr
    assert (after, unchanged) == (before, files)
    assert again["version"] == 2
    assert replaced not in (None, before)
    hive = home.directory / "data" / "hum" / "hives" / "mine"
    assert sorted(path.name for path in hive.iterdir()) == ["2", "build.log", "installed.json"]


def test_a_version_that_does_not_get_ready_is_taken_back(home: Home) -> None:
    place = folder(home, "${PYTHON} ${HIVE}/source/bee.py", bee_py=ENDLESS)
    home.hum("up")
    home.hum("hive", "install", str(place))
    record = home.directory / "data" / "hum" / "hives" / "mine" / "installed.json"
    before = listing(home), record.read_bytes()

    (place / "Orchfile").write_text(
        "SERVICE mine\nRUN ${PYTHON} ${HIVE}/source/bee.py\nSOCKET_READY x\nREADINESS_TIMEOUT 1s\n"
    )
    refused = home.hum("hive", "install", str(place))

    assert refused.returncode == 1
    assert "the new version of mine is not ready, and is gone again" in refused.stderr
    assert (listing(home), record.read_bytes()) == before
    assert runs(home)[-1].endswith("/mine/1/source/bee.py")


def test_a_python_hive_is_built_into_an_environment_of_its_own(home: Home) -> None:
    project = (
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "mine"\nversion = "1"\n'
    )
    place = folder(home, "${HIVE}/bin/mine", pyproject_toml=project, backend_py=BACKEND)
    home.hum("up")

    installed = home.hum("hive", "install", str(place), PIP_NO_INDEX="1")

    assert installed.returncode == 0, installed.stderr
    assert runs(home)[-1].endswith("/hives/mine/1/bin/mine")


@pytest.mark.skipif(shutil.which("npm") is None, reason="no npm here")
def test_a_node_hive_runs_from_its_copy(home: Home) -> None:
    package = {"name": "mine", "version": "1.0.0", "bin": "main.js"}
    place = folder(
        home,
        "${HIVE}/bin/mine",
        package_json=orjson.dumps(package).decode(),
        main_js="setInterval(() => {}, 100000)",
    )
    home.hum("up")

    installed = home.hum("hive", "install", str(place), npm_config_offline="true")
    shutil.rmtree(place)
    home.hum("hive", "restart", "mine")

    assert installed.returncode == 0, installed.stderr
    assert runs(home)[-1].endswith("/hives/mine/1/source/main.js")


def test_a_url_is_asked_about_before_anything_runs_and_its_commit_is_recorded(home: Home) -> None:
    ran = home.directory / "ran"
    place = folder(home, "${PYTHON} ${HIVE}/source/bee.py", bee_py=ENDLESS, build=f"touch {ran}")
    git = ["git", "-C", str(place), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([*git, *words], check=True, env={"PATH": os.environ["PATH"]})
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    url = f"file://{place}"

    asked = home.hum("hive", "install", url)
    has_run = ran.exists()
    agreed = home.hum("hive", "install", url, "--yes")
    record = home.directory / "data" / "hum" / "hives" / "mine" / "installed.json"

    assert asked.returncode == 2
    assert f"at {commit.stdout.strip()}? Nobody can be asked here" in asked.stderr
    assert "run   bash build" in asked.stdout
    assert not has_run
    assert agreed.returncode == 0, agreed.stderr
    assert ran.exists()
    found = orjson.loads(record.read_bytes())
    assert (found["from"], found["commit"]) == (url, commit.stdout.strip())
    assert list((home.directory / "cache" / "hum").rglob("fetched-*")) == []


def test_what_cannot_be_installed_is_refused_and_nothing_is_written(home: Home) -> None:
    place = folder(home, "x")
    orch_d = home.directory / "config" / "hum" / "orch.d"
    before = listing(home)

    def refused(orchfile: str | None) -> str:
        if orchfile is None:
            (place / "Orchfile").unlink()
        else:
            (place / "Orchfile").write_text(orchfile)
        done = home.hum("hive", "install", str(place))
        assert done.returncode == 78, done.stderr
        assert listing(home) - {"hive/Orchfile"} == before - {"hive/Orchfile"}
        return done.stderr

    assert "has a service scout already" in refused("SERVICE scout\nRUN x\n")
    assert "Orchfile:2: NOPE is no directive" in refused("SERVICE mine\nNOPE x\n")
    assert "REQUIRES nobody: there is no such service" in refused(
        "SERVICE mine\nRUN x\nREQUIRES nobody\n"
    )
    assert "has no SERVICE" in refused("ORCH_VERSION 0.2.1\n")
    assert "has no Orchfile" in refused(None)
    (orch_d / "mine.orch").write_text("SERVICE other\nRUN x\n")
    before = listing(home)
    assert "is your own, and would be replaced" in refused("SERVICE mine\nRUN x\n")
    (orch_d / "mine.orch").unlink()
    (place / "link").symlink_to("/etc/passwd")
    before = listing(home)
    assert "is no plain file" in refused("SERVICE mine\nRUN x\n")


def test_an_edited_orchfile_is_not_removed_unasked(home: Home) -> None:
    place = folder(home, "${PYTHON} ${HIVE}/source/bee.py", bee_py=ENDLESS)
    home.hum("hive", "install", str(place))
    mine = home.directory / "config" / "hum" / "orch.d" / "mine.orch"
    mine.write_text(mine.read_text() + "ENV A=1\n")

    refused = home.hum("hive", "uninstall", "mine")
    kept = mine.exists()
    agreed = home.hum("hive", "uninstall", "mine", "--yes")

    assert refused.returncode == 1
    assert "was edited since" in refused.stderr
    assert kept
    assert (agreed.returncode, mine.exists()) == (0, False)
