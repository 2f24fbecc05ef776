"""The arguments of `humfs_bash`, from whatever a model sent."""

from collections.abc import Mapping
from dataclasses import dataclass

from humfs.core.args import ARGS_MAX
from humfs.errors import Code, Refusal

TIMEOUT_MS = 120_000
"""How long a command may take that does not say."""
TIMEOUT_MS_MAX = 600_000
COMMAND_BYTES_MAX = 100_000
"""Longest command; the kernel takes 128 KiB as one argument."""
TITLE_CHARS_MAX = 80

_KNOWN = frozenset({"command", "description", "timeout"})
_PLACES = ("cwd", "dir", "directory", "workdir", "working_dir", "working_directory", "workingDir")
"""What models call the argument that says where: nothing is run elsewhere instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BashArgs:
    """What to run."""

    command: str
    description: str = ""
    timeout_ms: int = TIMEOUT_MS
    notes: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    """Arguments this tool does not know."""

    @property
    def title(self) -> str:
        """The short label of the call."""
        return self.description or self.command[:TITLE_CHARS_MAX]


def bash_args(args: object) -> BashArgs:
    """Check the arguments; raises `Refusal` (`bad_args`) that names them."""
    if not isinstance(args, Mapping):
        raise _bad("args must be an object with command, and optionally description and timeout.")
    command, description = args.get("command"), args.get("description")
    if command is not None and not isinstance(command, str):
        raise _bad("command must be a string: a line of bash.")
    if not command or not command.strip():
        raise _bad("command is missing: give a line of bash.")
    if description is not None and not isinstance(description, str):
        raise _bad("description must be a string.")
    if elsewhere := next((name for name in _PLACES if args.get(name)), None):
        raise _bad(f"there is no argument {elsewhere}: begin the command with `cd DIRECTORY && `.")
    _check_command(command)
    timeout, notes = _timeout(args.get("timeout"))
    ignored = sorted(str(name)[:64] for name in args if name not in _KNOWN)[:ARGS_MAX]
    return BashArgs(
        command=command,
        description=(description or "")[:TITLE_CHARS_MAX],
        timeout_ms=timeout,
        notes=notes,
        ignored=tuple(ignored),
    )


def _check_command(command: str) -> None:
    if "\0" in command:
        raise _bad("command has a NUL in it.")
    try:
        length = len(command.encode())
    except UnicodeEncodeError:
        raise _bad("command is not text: it has half of a surrogate pair.") from None
    if length > COMMAND_BYTES_MAX:
        raise _bad(f"command is longer than {COMMAND_BYTES_MAX} bytes.")


def _timeout(asked: object) -> tuple[int, tuple[str, ...]]:
    if asked is None:
        return TIMEOUT_MS, ()
    if isinstance(asked, bool) or not isinstance(asked, int | float) or asked != asked:
        raise _bad("timeout must be a number of milliseconds.")
    taken = int(min(max(asked, 1), TIMEOUT_MS_MAX))
    if taken == asked:
        return taken, ()
    return taken, (f"timeout {asked} was taken as {taken} ms: 1 to {TIMEOUT_MS_MAX}",)


def _bad(message: str) -> Refusal:
    return Refusal(
        Code.BAD_ARGS, message, hint='Example: {"command": "npm test", "timeout": 60000}'
    )
