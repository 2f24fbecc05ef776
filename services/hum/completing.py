"""Completion as a shell asks for it: by a variable that names the shell. Works with hum down.

Names of bees and hives come from files; a file that cannot be read completes nothing.
"""

import os
from collections.abc import Callable, Iterable, Mapping

import click
from click.shell_completion import BashComplete, CompletionItem, get_completion_class

from thrum.errors import HumError

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def variable(program: str) -> str:
    """The variable by which the shell asks `program`."""
    return f"_{program.upper().replace('-', '_')}_COMPLETE"


class _AnyBash(BashComplete):
    """Bash, without starting one to look at its version."""

    def source(self) -> str:
        return self.source_template % self.source_vars()


def script(command: click.Command, shell: str, *, program: str) -> str:
    """What `shell` evaluates, so that it asks `program` from then on."""
    kind = _AnyBash if shell == "bash" else get_completion_class(shell)
    assert kind is not None
    return kind(command, {}, program, variable(program)).source()


def answer(command: click.Command, program: str, environ: Mapping[str, str]) -> str | None:
    """What a shell that asks is told; None when none asks."""
    instruction = environ.get(variable(program), "")
    shell, _, what = instruction.partition("_")
    kind = get_completion_class(shell)
    if what != "complete" or kind is None:
        return None
    try:
        return kind(command, {}, program, variable(program)).complete()
    except (KeyError, ValueError):
        return ""  # asked without the words, by hand


def of_names(read: Callable[[], Iterable[str]]) -> Completer:
    """Completes what `read` knows."""

    def complete(_: click.Context, __: click.Parameter, begun: str) -> list[CompletionItem]:
        try:
            return [CompletionItem(name) for name in sorted(read()) if name.startswith(begun)]
        except (HumError, OSError):
            return []

    return complete


def bees() -> list[str]:
    """Bees that are or were connected, and hives that may become some."""
    import orjson

    from hum.bees import BEES_BYTES_MAX
    from nest.paths import Paths

    paths = Paths.from_environment(os.environ)
    names = set(hives())
    if paths.bees_json.exists():
        with paths.bees_json.open("rb") as file:
            found = orjson.loads(file.read(BEES_BYTES_MAX))
        names |= {str(one["name"]) for one in found.values()}
    return list(names)


def hives() -> list[str]:
    """Services that an Orchfile introduces."""
    from hum.stack import read_orchfiles
    from nest.paths import Paths

    files = read_orchfiles(Paths.from_environment(os.environ))
    return [block.name for file in files for block in file.blocks]
