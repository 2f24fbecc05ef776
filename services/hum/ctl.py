"""`hum ctl`: supervisorctl with the configuration of this hum."""

import os
import sys

import click

from hum.errors import absent
from nest.paths import Paths
from nest.supervisor import PROGRAM_PREFIX

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

\b
Example:
  hum ctl restart scout
"""


@click.command(
    context_settings={
        "ignore_unknown_options": True,
        "allow_interspersed_args": False,
        "help_option_names": [],
    },
    help=_CTL_HELP,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def ctl(*, arguments: tuple[str, ...]) -> None:
    """Hand a command to supervisorctl. A service may be named without its prefix."""
    paths = Paths.from_environment(os.environ)
    if not paths.supervisor_conf.exists():
        raise absent("hum was never started here, so there is nothing to control")
    sections = paths.supervisor_programs.glob(f"{PROGRAM_PREFIX}*.conf")
    services = frozenset(path.stem.removeprefix(PROGRAM_PREFIX) for path in sections)
    command = [sys.executable, "-P", "-m", "supervisor.supervisorctl"]
    command += ["-c", str(paths.supervisor_conf), *program_names(arguments, services)]
    os.execv(command[0], command)  # noqa: S606 - it becomes supervisorctl
