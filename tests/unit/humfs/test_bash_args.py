"""The arguments of `humfs_bash` (humfs 10.1)."""

from typing import Any

import pytest

from humfs.core.shell.args import COMMAND_BYTES_MAX, TIMEOUT_MS, TIMEOUT_MS_MAX, bash_args
from humfs.errors import Code, Refusal


def test_a_command_alone_gets_two_minutes() -> None:
    args = bash_args({"command": "make"})

    assert (args.command, args.timeout_ms, args.title) == ("make", TIMEOUT_MS, "make")


@pytest.mark.parametrize(
    ("asked", "taken"),
    [(1, 1), (1_500.0, 1_500), (0, 1), (-5, 1), (1e12, TIMEOUT_MS_MAX), (float("inf"), 600_000)],
)
def test_a_timeout_is_clamped_and_that_is_noted(asked: float, taken: int) -> None:
    args = bash_args({"command": "make", "timeout": asked})

    assert args.timeout_ms == taken
    assert bool(args.notes) is (taken != asked)


@pytest.mark.parametrize(
    "args",
    [
        None,
        "make",
        {},
        {"command": " \n"},
        {"command": 7},
        {"command": "a\0b"},
        {"command": "\ud800"},
        {"command": "a" * (COMMAND_BYTES_MAX + 1)},
        {"command": "make", "description": 7},
        {"command": "make", "timeout": "5"},
        {"command": "make", "timeout": True},
        {"command": "make", "timeout": float("nan")},
    ],
)
def test_what_cannot_be_run_is_refused_with_an_example(args: Any) -> None:
    with pytest.raises(Refusal) as refusal:
        bash_args(args)

    assert refusal.value.code is Code.BAD_ARGS
    assert "command" in refusal.value.hint


def test_a_command_that_is_no_string_is_not_called_missing() -> None:
    with pytest.raises(Refusal, match="command must be a string"):
        bash_args({"command": ["make", "test"]})


def test_a_title_is_the_description_or_the_beginning_of_the_command() -> None:
    assert bash_args({"command": "make", "description": "Build"}).title == "Build"
    assert bash_args({"command": "x" * 200}).title == "x" * 80
    assert bash_args({"command": "make", "user": "x", "run": 1}).ignored == ("run", "user")


@pytest.mark.parametrize("name", ["cwd", "workdir", "directory"])
def test_a_command_is_not_run_elsewhere_than_it_was_meant(name: str) -> None:
    with pytest.raises(Refusal) as refusal:
        bash_args({"command": "make clean", name: "/srv"})

    assert f"there is no argument {name}: begin the command with `cd" in refusal.value.message
