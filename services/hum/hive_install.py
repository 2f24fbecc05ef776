"""`hum hive install` and `uninstall`."""

import os
import time
from typing import TYPE_CHECKING, Any

import click

from hum.hive_life import DRY_RUN
from hum.hive_verbs import JSON

if TYPE_CHECKING:
    from hum.install import Installation
    from nest.paths import Paths

YES = click.option("--yes", is_flag=True, help="Do not ask.")


@click.command
@click.argument("source", metavar="FOLDER|URL")
@YES
@DRY_RUN
@JSON
def install(*, source: str, yes: bool, dry_run: bool, as_json: bool) -> int:
    """Build the hive in FOLDER and start it; another version of it is replaced.

    FOLDER has an Orchfile, and a marker that says how it is built: build (run by bash),
    pyproject.toml, Cargo.toml, package.json or go.mod. Everything is written below hum's own
    folders: RUN finds what was built below ${HIVE}, with the files of FOLDER in ${HIVE}/source.
    A URL of git is fetched, and asked about before anything of it runs.

    Exit status 1 when it cannot be built or does not get ready; then all is as it was.
    """
    from hum.fetching import fetched
    from hum.install import prepare
    from hum.installing import install as do
    from hum.locked import locked
    from hum.output import data_json, talk
    from nest.paths import Paths, ensure_private

    paths = Paths.from_environment(os.environ)
    with fetched(source, paths) as origin:
        wanted = prepare(origin, paths, os.environ)
        report = described(wanted, paths)
        if dry_run:
            _print_plan(report, as_json=as_json)
            return 0
        if origin.url and not yes:
            _print_plan(report, as_json=False)
            _ask(f"install {wanted.hive} from {origin.url} at {origin.commit}?")
        for directory in (paths.state, paths.locks):
            ensure_private(directory)
        with locked(paths):
            do(wanted, paths, os.environ, at_ms=time.time_ns() // 1_000_000)
    if as_json:
        data_json({"dry_run": False, **report})
    else:
        talk(f"{wanted.hive} is installed, version {wanted.number}; hum hive uninstall removes it")
    return 0


def described(wanted: "Installation", paths: "Paths") -> dict[str, Any]:
    """Everything that an install writes and runs, as `--json` prints it."""
    return {
        "hive": wanted.hive,
        "version": wanted.number,
        "services": list(wanted.services),
        "from": wanted.origin.url or str(wanted.origin.folder),
        "commit": wanted.origin.commit or None,
        "marker": wanted.build.marker or None,
        "commands": [list(command) for command in wanted.build.commands],
        "writes": [
            *(f"{wanted.rooms.source}/{name}" for name in wanted.files),
            *wanted.build.programs,
            str(paths.hive_orch(wanted.hive)),
            str(paths.hive_build_log(wanted.hive)),
            str(paths.hive_record(wanted.hive)),
        ],
        "builds_below": wanted.rooms.version,
        "cache": wanted.rooms.cache,
        "orchfile": wanted.orchfile,
    }


def _print_plan(report: dict[str, Any], *, as_json: bool) -> None:
    import shlex

    from hum.output import data, data_json, printable

    if as_json:
        data_json({"dry_run": True, **report})
        return
    commit = f" at {report['commit']}" if report["commit"] else ""
    data(printable(f"{report['hive']}, version {report['version']}, from {report['from']}{commit}"))
    for path in report["writes"]:
        data(printable(f"  write {path}"))
    for command in report["commands"]:
        data(printable(f"  run   {shlex.join(command)}"))
    data(f"  below {report['builds_below']}, with its cache in {report['cache']}")
    data(printable("".join(f"  | {line}\n" for line in report["orchfile"].splitlines())))


def _ask(question: str) -> None:
    import sys

    if not sys.stdin.isatty():
        raise click.UsageError(f"{question} Nobody can be asked here: look, then say --yes")
    click.confirm(question, abort=True, err=True)


@click.command
@click.argument("name")
@click.option("--yes", is_flag=True, help="Also when its Orchfile was edited since.")
@DRY_RUN
@JSON
def uninstall(*, name: str, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Stop the hive NAME and remove exactly what its install made.

    Exit status 1 for one that was not installed.
    """
    from hum.installing import recorded
    from hum.installing import uninstall as do
    from hum.locked import locked
    from hum.output import data, data_json, talk
    from nest.paths import Paths, ensure_private

    paths = Paths.from_environment(os.environ)
    record = recorded(paths, name, even_changed=yes)
    left: list[str] = []
    if not dry_run:
        for directory in (paths.state, paths.locks):
            ensure_private(directory)
        with locked(paths):
            left = do(record, paths)
    if as_json:
        data_json({"dry_run": dry_run, "hive": name, "removed": record["paths"], "left": left})
        return
    for path in record["paths"]:
        data(f"{'would remove' if dry_run else 'removed'} {path}")
    for path in left:
        talk(f"left, as it is not of hum's making: {path}")
