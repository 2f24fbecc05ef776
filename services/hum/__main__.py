"""Where a command ends: its result or its failure becomes an exit status.

The one place that turns a `HumError` into a sentence with its mend. No traceback unless `--debug`.
Nothing is imported before somebody looks out for ctrl-c.
"""

import errno
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click

    from thrum.errors import HumError

INTERRUPTED = 130
"""The exit status that shells give a command which SIGINT ended."""


def main() -> None:
    """Run `hum` with this process's arguments and exit."""
    sys.exit(_start("hum"))


def humctl() -> None:
    """Run `humctl` with this process's arguments and exit."""
    sys.exit(_start("humctl"))


def _start(program: str) -> int:
    """Answer a shell that asks how a line goes on, or else run a command of `program`."""
    _open_what_is_closed()
    try:
        from hum import commands

        group = commands.hum if program == "hum" else commands.humctl
        if f"_{program.upper()}_COMPLETE" in os.environ:
            from hum.completing import answer

            said = answer(group, program, os.environ)
            if said is not None:
                print(said)
                return 0
        return run(group, sys.argv[1:])
    except KeyboardInterrupt:
        return INTERRUPTED


def _open_what_is_closed() -> None:
    """Have nothing read and written where whoever started us left no stdin, stdout or stderr."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8"))


def run(group: "click.Group", arguments: Sequence[str]) -> int:
    """Run one command of `group`; return its exit status and never raise."""
    import click

    from hum.errors import EXIT_FAILED, EXIT_OK, EXIT_USAGE, exit_status
    from hum.output import complain
    from thrum.errors import HumError

    debug = "--debug" in arguments
    try:
        with group.make_context(group.name, list(arguments)) as context:
            result = group.invoke(context)
            return result if isinstance(result, int) else EXIT_OK
    except click.exceptions.Exit as asked:
        return asked.exit_code
    except click.ClickException as wrong:
        wrong.show()
        return EXIT_USAGE if isinstance(wrong, click.UsageError) else EXIT_FAILED
    except HumError as error:
        complain(error)
        if debug:
            _show_traceback()
        return exit_status(error)
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read us went away, which is their good right; keep the interpreter from noticing.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except OSError as error:
        complain(_of_the_system(error))
        if debug:
            _show_traceback()
        return EXIT_FAILED
    except Exception as error:  # noqa: BLE001 - the end of the unit of work
        if isinstance(error.__cause__, KeyboardInterrupt):  # in the middle of an import
            return INTERRUPTED
        complain(
            HumError(f"a bug in hum: {error!r}", hint="run it again with: hum --debug, and report")
        )
        if debug:
            _show_traceback()
        return EXIT_FAILED


def _of_the_system(error: OSError) -> "HumError":
    """What the system refused, where, and where to look."""
    from thrum.errors import HumError

    said = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return HumError(f"{error.filename or 'what was to be written'}: {said}", hint="df -h")
    if error.filename:
        return HumError(f"{error.filename}: {said}", hint=f"ls -ld {error.filename}")
    return HumError(said, hint="hum doctor")


def _show_traceback() -> None:
    import traceback

    traceback.print_exc()


if __name__ == "__main__":
    main()
