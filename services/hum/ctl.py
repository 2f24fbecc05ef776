"""`hum ctl`: supervisorctl with the configuration of this hum."""

import os
import sys

import click

from orch.core.programs import PROGRAM_PREFIX

# fmt: off
_TAKES_NAMES = frozenset((
    "start", "stop", "restart", "status", "signal", "clear", "tail", "fg", "pid", "add", "remove",
    "update",
))
# fmt: on


def program_names(arguments: tuple[str, ...], services: frozenset[str]) -> list[str]:
    """`arguments` for supervisorctl, where a service's name stands for its program."""
    if not arguments or arguments[0] not in _TAKES_NAMES:
        return list(arguments)
    return [
        f"{PROGRAM_PREFIX}{argument}" if at and argument in services else argument
        for at, argument in enumerate(arguments)
    ]


_CTL_HELP = """Hand a command to supervisorctl. A service may be named without its prefix.

What it prints is its own, and so is its exit status. --json, before the command, wraps both; it is
refused for what does not end: no command, fg, tail -f and maintail -f.

\b
Examples:
  hum ctl restart scout
  hum ctl help
"""


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    help=_CTL_HELP,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def ctl(*, arguments: tuple[str, ...], as_json: bool) -> int:
    """Hand a command to supervisorctl. A service may be named without its prefix."""
    from hum.errors import absent
    from nest.paths import Paths

    if as_json and is_endless(arguments):
        raise click.UsageError("--json wraps what ends, and this would not")
    paths = Paths.from_environment(os.environ)
    if not paths.supervisor_conf.exists():
        raise absent("hum was never started here, so there is nothing to control")
    sections = paths.supervisor_programs.glob(f"{PROGRAM_PREFIX}*.conf")
    services = frozenset(path.stem.removeprefix(PROGRAM_PREFIX) for path in sections)
    command = [sys.executable, "-P", "-m", "supervisor.supervisorctl"]
    command += ["-c", str(paths.supervisor_conf), *program_names(arguments, services)]
    if not as_json:
        os.execv(command[0], command)  # noqa: S606 - it becomes supervisorctl
    return _wrapped(command)


def is_endless(arguments: tuple[str, ...]) -> bool:
    """Whether supervisorctl would go on until somebody ends it."""
    if not arguments or arguments[0] in ("fg", "shell"):
        return True
    return arguments[0] in ("tail", "maintail") and "-f" in arguments


def _wrapped(command: list[str]) -> int:
    import subprocess

    from hum.output import data_json

    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    told = {"exit_status": done.returncode, "stdout": done.stdout, "stderr": done.stderr}
    data_json(told)
    return done.returncode
