"""How a folder is built, by its marker file (features B7)."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from hum.builds import Build, Rooms, build_of, caches

ROOMS = Rooms(version="/v/1", source="/v/1/source", cache="/c", python="/py", has_pip=True)


def build(*names: str, entries: dict[str, str] | None = None) -> Build:
    return build_of(frozenset(names), hive="mine", rooms=ROOMS, entries=entries or {})


@pytest.mark.parametrize(
    ("names", "commands"),
    [
        (("build", "go.mod", "Cargo.toml"), [("bash", "build")]),
        (
            ("pyproject.toml", "package.json"),
            [
                ("/py", "-m", "venv", "--without-pip", "/v/1"),
                ("/py", "-m", "pip", "--python", "/v/1/bin/python",
                 "--disable-pip-version-check", "install", "/v/1/source"),
            ],
        ),
        (
            ("Cargo.toml", "go.mod"),
            [("cargo", "install", "--path", "/v/1/source", "--root", "/v/1", "--locked",
              "--force")],
        ),
        (("go.mod",), [("go", "build", "-o", "/v/1/bin/mine", ".")]),
        (
            ("package.json", "package-lock.json"),
            [("npm", "ci", "--no-audit", "--no-fund"), ("npm", "run", "build", "--if-present")],
        ),
        (("bee.py",), []),
    ],
)  # fmt: skip
def test_the_first_marker_decides(names: tuple[str, ...], commands: list[tuple[str, ...]]) -> None:
    assert list(build(*names).commands) == commands


def test_without_a_pip_of_ours_the_environment_gets_its_own() -> None:
    rooms = replace(ROOMS, has_pip=False)

    made = build_of(frozenset({"pyproject.toml"}), hive="mine", rooms=rooms, entries={})

    assert made.commands[0] == ("/py", "-m", "venv", "/v/1")
    assert made.commands[1][0] == "/v/1/bin/python"


def test_each_program_of_a_package_becomes_one_that_finds_its_file(tmp_path: Path) -> None:
    made = build("package.json", entries={"a": "it's a.js"}).programs
    without = build("package.json").programs

    assert made == {"/v/1/bin/a": "#!/bin/sh\nexec node '/v/1/source/it'\"'\"'s a.js' \"$@\"\n"}
    assert list(without) == ["/v/1/bin/mine"]
    script = tmp_path / "a"
    script.write_text(made["/v/1/bin/a"].replace("exec node", "printf %s"))
    said = subprocess.run(["sh", str(script)], capture_output=True, check=True, text=True)
    assert said.stdout == "/v/1/source/it's a.js"


def test_a_build_keeps_its_caches_with_us() -> None:
    ours = caches(ROOMS)

    assert ours.pop("HIVE") == "/v/1"
    assert ours.pop("GOFLAGS") == "-modcacherw"
    assert all(value.startswith("/c") for value in ours.values())
