"""`hum uninstall`: stop, then remove exactly what hum made, and say how the program itself goes."""

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nest.paths import Paths

WORD = "purge"
"""What somebody types who means the log too."""


@click.command
@click.option("--purge", is_flag=True, help="Also the signed log, the keys and the configuration.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and do nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def uninstall(*, purge: bool, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Stop hum and remove what it made in its own folders; the log and the settings stay.

    With --purge the signed log goes too, with the keys that sign it and all configuration: nothing
    brings that back. What is not of hum's making is named and left. Exit status 2 when nobody can
    be asked and --yes is missing.
    """
    from hum.leavings import Kind, leavings
    from hum.output import data, data_json, talk
    from nest.paths import Paths

    paths = Paths.from_environment(os.environ)
    found = [one for one in leavings(paths) if _is_ours(one.path, paths)]
    going = [one.path for one in found if purge or one.kind is Kind.REBUILT]
    staying = [one.path for one in found if one.path not in going]
    hives = installed(paths) if not purge else []
    going += hives
    if not as_json:
        for path in going:
            data(f"remove {path}")
        for path in staying:
            data(f"keep   {path}")
    left: list[str] = []
    if not dry_run:
        if not yes:
            _ask(purge=purge)
        left = _remove(going, paths)
    program = how_the_program_goes()
    if as_json:
        data_json({
            "dry_run": dry_run, "removed": [*map(str, going)], "kept": [*map(str, staying)],
            "left": left, "program": program,
        })  # fmt: skip
        return
    for other in left:
        talk(f"left, as it is not of hum's making: {other}")
    talk(f"hum itself is removed with: {program}")


def _is_ours(path: Path, paths: "Paths") -> bool:
    """Whether `path` is there; a link to a door only if it leads to ours."""
    if path in paths.socket_links():
        return path.is_symlink() and path.readlink() == paths.thrum_socket
    return os.path.lexists(path)


def installed(paths: "Paths") -> list[Path]:
    """Orchfiles of hives that were installed: what they start goes with `hives`."""
    if not paths.hives.is_dir():
        return []
    names = sorted(one.name for one in paths.hives.iterdir())
    return [paths.hive_orch(name) for name in names if paths.hive_orch(name).exists()]


def _ask(*, purge: bool) -> None:
    if not sys.stdin.isatty():
        raise click.UsageError("nobody can be asked here: look at the list, then say --yes")
    if purge:
        said = click.prompt(f"the signed log goes for good; type {WORD} to go on", err=True)
        if said != WORD:
            raise click.Abort
    else:
        click.confirm("remove these?", abort=True, err=True)


def _remove(going: "Sequence[Path]", paths: "Paths") -> list[str]:
    """Stop everything, remove `going`, and folders of ours that are empty; what is left in them."""
    from contextlib import ExitStack

    from hum.down import stop_all
    from hum.leavings import folders, leavings
    from hum.locked import locked

    with ExitStack() as stack:
        if paths.locks.exists():
            stack.enter_context(locked(paths))
        stop_all(paths)
        for path in going:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    ours = {one.path for one in leavings(paths)}
    left: list[str] = []
    for folder in folders(paths):
        inside = sorted(folder.iterdir()) if folder.is_dir() else []
        left += [str(path) for path in inside if path not in ours and path not in folders(paths)]
        if folder.is_dir() and not inside:
            folder.rmdir()
    return left


def how_the_program_goes() -> str:
    """The command that removes the package, as far as its place tells."""
    place = checkout()
    if place is not None:
        return f"rm -r {place}"
    parts = Path(sys.prefix).parts
    if "pipx" in parts:
        return "pipx uninstall hum"
    if "uv" in parts and "tools" in parts:
        return "uv tool uninstall hum"
    return f"{sys.executable} -m pip uninstall hum"


def checkout() -> Path | None:
    """The checkout that this program runs from; None for an installed one."""
    root = Path(__file__).resolve().parents[2]
    return root if (root / "pyproject.toml").exists() and (root / "services").is_dir() else None
