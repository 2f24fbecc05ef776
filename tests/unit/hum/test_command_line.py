"""What every command has in common: help, errors, exit statuses, colour."""

import subprocess
import sys

import click
import pytest

from hum import commands
from hum.__main__ import run
from hum.errors import TryAgain, exit_status
from hum.output import colour_wanted, duration, printable, table
from thrum.errors import DaemonAbsent, HumError, SettingsRefused


def failing(error: BaseException) -> click.Group:
    group = click.Group(name="hum", params=[click.Option(["--debug"], is_flag=True)])

    @group.command
    def go() -> None:
        raise error

    group.callback = lambda debug: None
    return group


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (HumError("x"), 1),
        (DaemonAbsent("x"), 69),
        (TryAgain("x"), 75),
        (SettingsRefused("x"), 78),
    ],
)
def test_each_failure_has_its_exit_status(error: HumError, status: int) -> None:
    assert exit_status(error) == status


def test_a_failure_is_a_sentence_and_its_mend_without_a_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status = run(failing(SettingsRefused("what and where", hint="mend it")), ["go"])

    said = capsys.readouterr()
    assert (status, said.out) == (78, "")
    assert said.err == "hum: what and where\n  mend it\n"


def in_an_import() -> Exception:
    error = RuntimeError("Error calling __set_name__")
    error.__cause__ = KeyboardInterrupt()
    return error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort(), in_an_import()])
def test_ctrl_c_has_status_130_and_no_word(
    error: BaseException, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(failing(error), ["go"]) == 130

    assert capsys.readouterr() == ("", "")


def test_debug_shows_where_a_failure_came_from(capsys: pytest.CaptureFixture[str]) -> None:
    run(failing(HumError("x")), ["--debug", "go"])

    assert "Traceback" in capsys.readouterr().err


def test_a_bug_is_told_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    status = run(failing(RuntimeError("oh")), ["go"])

    said = capsys.readouterr().err
    assert status == 1
    assert "a bug in hum" in said
    assert "Traceback" not in said


def test_what_the_system_refuses_is_named_with_its_place(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(failing(PermissionError(13, "Permission denied", "/a/file")), ["go"]) == 1

    assert capsys.readouterr().err == "hum: /a/file: Permission denied\n  ls -ld /a/file\n"


@pytest.mark.parametrize(
    ("redirected", "status", "said"),
    [
        ("words >/dev/full", 1, "hum: what was to be written: No space left on device\n  df -h\n"),
        ("words >&-", 0, ""),
        ("words | head -n 1 >/dev/null", 0, ""),
        ("nonsense 2>&-", 2, ""),
    ],
)
def test_an_output_that_is_full_or_closed_is_no_bug(
    redirected: str, status: int, said: str
) -> None:
    line = f"set -o pipefail; {sys.executable} -P -m hum help {redirected}"

    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (status, said)


def test_a_closed_stdin_is_an_empty_one() -> None:
    line = f"{sys.executable} -P -m hum ask - <&-"

    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert "the prompt is empty" in done.stderr


def test_wrong_usage_has_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(commands.hum, ["nonsense"]) == 2
    assert run(commands.hum, ["version", "--nonsense"]) == 2
    assert "No such command" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "meant"), [("sta", "status"), ("statsu", "status"), ("humm", "hum"), ("xyzzy", None)]
)
def test_an_unknown_command_is_answered_with_those_near_it(
    name: str, meant: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    run(commands.hum, [name])

    said = capsys.readouterr().err
    assert (f"Did you mean {meant}" in said) if meant else "Did you mean" not in said


@pytest.mark.parametrize("prompt", ["", " \n", "caf\udcc3"])
def test_a_prompt_that_cannot_be_asked_is_refused_before_anything_is_sent(
    prompt: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(commands.hum, ["ask", prompt]) == 2
    assert "the prompt is " in capsys.readouterr().err


def test_a_sid_that_is_no_text_is_refused_as_wrong_usage(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(commands.hum, ["hum", "\udcff"]) == 2
    said = capsys.readouterr().err
    assert "it is no UTF-8 text" in said
    assert "`hum hum` lists" in said


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_names_every_command_and_imports_none(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    modules = {target.partition(":")[0] for target, _ in commands.HUM.values()}
    for module in modules:
        sys.modules.pop(module, None)

    status = run(commands.hum, [option])

    said = capsys.readouterr().out
    assert status == 0
    assert all(f"\n  {name} " in said for name in commands.HUM)
    assert not modules & sys.modules.keys()


@pytest.mark.parametrize("group", [commands.hum, commands.humctl], ids=["hum", "humctl"])
def test_every_command_has_help(
    group: commands.LazyGroup, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in group.list_commands(click.Context(group)):
        if name == "tail":
            continue  # its help is that of what it stands for
        assert run(group, [name, "-h"]) == 0
        assert capsys.readouterr().out.startswith(f"Usage: {group.name} {name} ")


def test_version_names_the_wire_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(commands.hum, ["--version"]) == 0
    assert run(commands.hum, ["version"]) == 0

    first, second = capsys.readouterr().out.splitlines()
    assert first == second
    assert "(thrum 0.7.0)" in first


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, None),
        ({"TERM": "dumb"}, False),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        ({"NO_COLOR": ""}, None),
    ],
)
def test_colour_obeys_the_environment_in_order(
    environ: dict[str, str], wanted: bool | None
) -> None:
    assert colour_wanted(environ) is wanted


def test_foreign_text_cannot_drive_the_terminal() -> None:
    assert printable("a\x1b[31mb\tc\nd\x9b\u202e") == "a�[31mb\tc\nd��"


def test_a_table_has_columns() -> None:
    assert table([("A", "BB", "C"), ("aaa", "b", "c")]) == "A    BB  C\naaa  b   c"


def test_lengths_of_time_are_short() -> None:
    assert [duration(s) for s in (0, 59.9, 60, 7200, 200_000)] == ["0s", "59s", "1m", "2h", "2d"]
