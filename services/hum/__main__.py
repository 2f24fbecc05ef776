"""Where a command ends: its result or its failure becomes an exit status.

The one place that turns a `HumError` into a sentence with its mend. No traceback unless `--debug`.
"""

import os
import sys
from collections.abc import Sequence

import click

from hum import commands
from hum.errors import EXIT_FAILED, EXIT_OK, EXIT_USAGE, exit_status
from hum.output import complain
from thrum.errors import HumError


def main() -> None:
    """Run `hum` with this process's arguments and exit."""
    sys.exit(_start(commands.hum))


def humctl() -> None:
    """Run `humctl` with this process's arguments and exit."""
    sys.exit(_start(commands.humctl))


def _start(group: click.Group) -> int:
    """Answer a shell that asks how a line goes on, or else run a command of `group`."""
    assert group.name is not None
    if f"_{group.name.upper()}_COMPLETE" in os.environ:
        from hum.completing import answer

        said = answer(group, group.name, os.environ)
        if said is not None:
            click.echo(said)
            return EXIT_OK
    return run(group, sys.argv[1:])


def run(group: click.Group, arguments: Sequence[str]) -> int:
    """Run one command of `group`; return its exit status and never raise."""
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
        return EXIT_FAILED
    except BrokenPipeError:
        # Whoever read us went away, which is their good right; keep the interpreter from noticing.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except Exception as error:  # noqa: BLE001 - the end of the unit of work
        complain(
            HumError(f"a bug in hum: {error!r}", hint="run it again with: hum --debug, and report")
        )
        if debug:
            _show_traceback()
        return EXIT_FAILED


def _show_traceback() -> None:
    import traceback

    traceback.print_exc()


if __name__ == "__main__":
    main()
