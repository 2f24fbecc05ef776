"""Every command of `hum` and `humctl`: help, `--json`, exit statuses, completion (features A22)."""

import os
import subprocess
import sys
from collections.abc import Iterator

import click
import orjson
import pytest

from hum import commands
from hum.__main__ import run
from hum.ctl import is_endless

HEAVY = (
    "anyio", "asyncio", "fastapi", "http.client", "nest.settings", "psutil", "pydantic", "ssl",
    "starlette", "supervisor", "uvicorn", "zmq",
)  # fmt: skip
"""Each costs a noticeable part of the 150 ms in which help is there."""


def leaves(group: click.Group, *above: str) -> Iterator[tuple[str, ...]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from leaves(command, *above, name)
        else:
            yield *above, name


EVERY = [(group, words) for group in (commands.hum, commands.humctl) for words in leaves(group)]


@pytest.mark.parametrize(
    ("group", "words"), EVERY, ids=[f"{group.name} {' '.join(words)}" for group, words in EVERY]
)
def test_every_command_has_json_and_says_its_exit_statuses(
    group: click.Group, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(group, [*words, "--help"]) == 0

    said = capsys.readouterr().out
    assert said.startswith("Usage: hum")
    assert "\n  --json " in said
    assert "Exit status: 0 done" in said
    assert " 78 " in said


def test_no_help_imports_what_only_work_needs() -> None:
    code = f"""
import contextlib, io, sys
from hum import commands
from hum.__main__ import run
heavy = {HEAVY!r}
found = {{}}
for group, every in ((commands.hum, {[w for g, w in EVERY if g is commands.hum]!r}),
                     (commands.humctl, {[w for g, w in EVERY if g is commands.humctl]!r})):
    for words in every:
        before = set(sys.modules)
        with contextlib.redirect_stdout(io.StringIO()):
            run(group, [*words, "--help"])
        more = set(sys.modules) - before
        found[" ".join(words)] = sorted(name for name in heavy if name in more)
        for name in found[" ".join(words)]:
            del sys.modules[name]
print({{words: names for words, names in found.items() if names}})
"""

    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "{}"


def asked(shell: str, words: str, **environ: str) -> list[str]:
    """What a shell is told that asks how `words` go on."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "hum"],
        env={
            **os.environ,
            "_HUM_COMPLETE": f"{shell}_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
            **environ,
        },
        capture_output=True,
        text=True,
        check=True,
    )
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_for_each_shell_asks_hum(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(commands.hum, ["completion", shell]) == 0
    script = capsys.readouterr().out
    assert run(commands.hum, ["completion", shell, "--json"]) == 0

    assert f"_HUM_COMPLETE={shell}_complete" in script
    assert orjson.loads(capsys.readouterr().out) == {"shell": shell, "script": script.rstrip("\n")}


def test_bash_takes_the_script_and_completes_with_the_daemon_down(home: object) -> None:
    """Experience 5.23."""
    done = subprocess.run(
        ["bash", "-euc", 'eval "$(python -P -m hum completion bash)"; complete -p hum'],
        env={**os.environ, "PATH": f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.rstrip().endswith(" hum")
    assert asked("bash", "hum sta") == ["status"]
    assert asked("bash", "hum hive re") == ["restart"]
    assert asked("bash", "hum hive restart s") == ["scout", "sidecar"]
    assert asked("bash", "hum bee sco") == ["scout"]
    assert asked("bash", "hum nest render --j") == ["--json"]


def test_what_does_not_end_is_not_wrapped(capsys: pytest.CaptureFixture[str]) -> None:
    endless = [(), ("fg", "scout"), ("tail", "-f", "scout"), ("maintail", "-f")]

    assert all(map(is_endless, endless))
    assert not any(map(is_endless, [("status",), ("tail", "scout"), ("restart", "-f")]))
    assert run(commands.hum, ["ctl", "--json", "fg", "scout"]) == 2
    assert "this would not" in capsys.readouterr().err
