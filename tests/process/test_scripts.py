"""The scripts, as somebody uses them who has just cloned the project."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import orjson
import pytest

ROOT = Path(__file__).resolve().parents[2]
OLD_PYTHON = "#!/bin/sh\nexit 1\n"  # says no when asked whether it is new enough
VERSIONS = ("python3", "python3.11", "python3.12", "python3.13", "python3.14")
NEEDED = ("bwrap", "strace", "fusermount3", "rg", "ctags", "zstd", "faketime")
"""What scripts/test-packages looks for."""
APT_GET = """#!/usr/bin/env bash
[[ ${@: -1} == strace ]] && exit 100 # the archive does not have it
[[ ${@: -1} == update ]] || printf '#!/bin/sh\\n' >"$FOUND/rg"
[[ ! -e $FOUND/rg ]] || /bin/chmod +x "$FOUND/rg"
"""
STUB = "#!/bin/sh\necho {name} ran\nexit {status}\n"

pytestmark = pytest.mark.process


def ran(
    *command: str | Path, env: Mapping[str, str] | None = None, cwd: Path = ROOT
) -> "subprocess.CompletedProcess[str]":
    """Run a command without stdin; `env` is all of its environment."""
    return subprocess.run(
        [str(word) for word in command],
        env=env,
        cwd=cwd,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A clone without an environment, of what setup and lock read."""
    (tmp_path / "scripts").mkdir()
    for name in ("scripts/setup", "scripts/lock"):
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("pyproject.toml", "requirements.lock", "requirements-dev.lock"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_setup_names_what_is_missing_when_every_python_is_too_old(
    checkout: Path, tmp_path: Path
) -> None:
    for version in VERSIONS:
        program(tmp_path / "bin" / version, OLD_PYTHON)

    done = ran(
        checkout / "scripts/setup",
        env={"PATH": f"{tmp_path}/bin:/usr/bin:/bin", "HOME": str(tmp_path)},
    )

    assert done.returncode == 78
    assert "no Python 3.11 or newer" in done.stderr
    assert not (checkout / ".venv").exists()


def test_setup_without_a_home_says_so(checkout: Path) -> None:
    done = ran(checkout / "scripts/setup", env={"PATH": os.environ["PATH"]})

    assert done.returncode == 78
    assert "HOME is not set" in done.stderr
    assert not (checkout / ".venv").exists()


def test_setup_does_nothing_when_nothing_changed(tmp_path: Path) -> None:
    stamp = ROOT / ".venv/.made-from"
    before = stamp.stat()

    done = ran(ROOT / "scripts/setup", "--dev", cwd=tmp_path)

    after = stamp.stat()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_script_refuses_an_option_it_does_not_know() -> None:
    for name in ("setup", "check"):
        assert ran(ROOT / "scripts" / name, "--nonsense").returncode == 2


def test_lock_finds_dependencies_that_are_not_locked(checkout: Path) -> None:
    python = ROOT / ".venv/bin/python"
    as_it_is = ran(python, checkout / "scripts/lock", "--check")
    pyproject = checkout / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace('"msgpack>=', '"left-pad", "msgpack>='))
    changed = ran(python, checkout / "scripts/lock", "--check")

    assert as_it_is.returncode == 0
    assert changed.returncode == 1
    assert "requirements.lock" in changed.stdout
    assert "requirements-dev.lock" in changed.stdout


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """An environment whose PATH has only what scripts/test-packages itself needs."""
    folder = tmp_path / "bare"
    folder.mkdir()
    for name in ("bash", "timeout", "flock"):
        (folder / name).symlink_to(shutil.which(name) or name)
    return {"PATH": str(folder), "FOUND": str(folder)}


def test_test_packages_says_nothing_when_all_are_there(bare: dict[str, str]) -> None:
    for name in NEEDED:
        program(Path(bare["FOUND"], name), OLD_PYTHON)

    done = ran(ROOT / "scripts/test-packages", env=bare)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_test_packages_names_what_is_missing_to_who_cannot_install(bare: dict[str, str]) -> None:
    program(Path(bare["FOUND"], "id"), "#!/bin/sh\necho 1000\n")
    program(Path(bare["FOUND"], "strace"), OLD_PYTHON)

    done = ran(ROOT / "scripts/test-packages", env=bare)

    assert done.returncode == 0
    assert [name for name in NEEDED if f"no {name} (" in done.stderr] == [
        name for name in NEEDED if name != "strace"
    ]
    assert "skipped: tests of the shell" in done.stderr


def test_test_packages_installs_what_it_can_and_names_the_rest(bare: dict[str, str]) -> None:
    for name in NEEDED:
        if name not in {"rg", "strace"}:
            program(Path(bare["FOUND"], name), OLD_PYTHON)
    program(Path(bare["FOUND"], "id"), "#!/bin/sh\necho 0\n")
    program(Path(bare["FOUND"], "apt-get"), APT_GET)

    done = ran(ROOT / "scripts/test-packages", env=bare)

    assert done.returncode == 0
    assert Path(bare["FOUND"], "rg").exists()
    assert re.findall(r"no (\S+) \(package", done.stderr) == ["strace"]


@pytest.mark.parametrize(
    ("gate", "tests", "status"), [(0, 0, 0), (1, 0, 1), (0, 1, 1), (1, 1, 1), (78, 0, 1)]
)
def test_ci_runs_both_to_the_end_and_fails_with_either(
    tmp_path: Path, gate: int, tests: int, status: int
) -> None:
    program(tmp_path / ".ci/run", (ROOT / ".ci/run").read_text())
    program(tmp_path / "scripts/check", STUB.format(name="check", status=gate))
    program(tmp_path / "scripts/test", STUB.format(name="tests", status=tests))

    done = ran(tmp_path / ".ci/run", env={"PATH": os.environ["PATH"]})

    assert done.returncode == status
    assert re.findall(r"^(\w+) ran$", done.stdout, re.MULTILINE) == ["check", "tests"]


@pytest.mark.timeout(120)
def test_run_starts_hum_asks_it_and_says_where_everything_is(home: Path) -> None:
    hum_json = home / "config/hum/hum.json"
    hum_json.parent.mkdir(mode=0o700)
    hum_json.write_bytes(orjson.dumps({"front": {"port": 0}, "sidecar": {"port": 0}}))

    try:
        first = ran(ROOT / "scripts/run")
        second = ran(ROOT / "scripts/run")
    finally:
        down = ran(ROOT / ".venv/bin/hum", "down")

    for done in (first, second):
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        assert len(lines) > 4  # the answer stands before the four
        labels = [line.split("  ")[0] for line in lines[-4:]]
        assert labels == ["OpenAI clients", "admin", "signed log", "verified"]
        assert re.search(r"http://127\.0\.0\.1:\d+/v1$", lines[-4])
        assert "chain ok" in lines[-1]
        assert "hum down" in done.stderr
    assert "running already" in second.stderr
    assert down.returncode == 0


@pytest.fixture
def generated(tmp_path: Path) -> Path:
    """A copy of what codegen reads and writes."""
    for name in ("scripts/codegen", "services/thrum", "services/nest/version.py", "clients"):
        source, place = ROOT / name, tmp_path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, place, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, place)
    (tmp_path / "services/nest/__init__.py").touch()
    return tmp_path


def codegen(place: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return ran(sys.executable, place / "scripts/codegen", *arguments, cwd=place)


def test_codegen_writes_what_it_checks(generated: Path) -> None:
    shutil.rmtree(generated / "clients/go")
    assert codegen(generated, "--check").returncode == 1

    assert codegen(generated).returncode == 0

    assert codegen(generated, "--check").returncode == 0
    assert (generated / "clients/go/thrum.go").read_bytes() == (
        ROOT / "clients/go/thrum.go"
    ).read_bytes()


@pytest.mark.parametrize(
    "name",
    [
        "services/thrum/chi.py",
        "clients/python/thrum_client.py",
        "clients/python/pyproject.toml",
        "clients/ts/thrum.ts",
        "clients/ts/thrum.js",
        "clients/ts/package.json",
        "clients/go/thrum.go",
        "clients/go/go.mod",
    ],
)
def test_codegen_names_every_generated_file_that_was_changed(generated: Path, name: str) -> None:
    """Features A5."""
    with (generated / name).open("a") as file:
        file.write("\n")

    done = codegen(generated, "--check")

    assert done.returncode == 1
    assert done.stderr.splitlines() == [f"{name} differs from the registry: run scripts/codegen"]


def test_codegen_names_what_does_not_belong_there_and_what_the_registry_changed(
    generated: Path,
) -> None:
    (generated / "clients/go/by_hand.go").touch()
    registry = generated / "services/thrum/registry.json"
    registry.write_text(registry.read_text().replace('"modelId": "string"', '"modelId": "any"'))

    done = codegen(generated, "--check")

    assert done.returncode == 1
    assert [line.split(" ")[0] for line in done.stderr.splitlines()] == [
        "clients/go/by_hand.go",
        "clients/go/thrum.go",
        "clients/python/thrum_client.py",
        "clients/ts/thrum.js",
        "clients/ts/thrum.ts",
    ]
