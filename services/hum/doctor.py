"""`hum doctor`: everything that can be looked at, what is wrong with it, and what mends it."""

import os
import platform
import sys
from typing import TYPE_CHECKING

import click

from hum.output import data, data_json, printable, talk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hum.findings import Finding
    from nest.paths import Paths

EXIT_FINDINGS = 1


@click.command
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def doctor(*, as_json: bool) -> int:
    """Look at settings, keys, directories, disk, log, processes, door, bees and sandbox.

    Changes nothing. Names every finding with the command that mends it. Exit status 1 when there is
    one.
    """
    from hum.running import complaints
    from nest.paths import Paths

    paths = Paths.from_environment(os.environ)
    found = list(_looked_at(paths))
    bad = [one for one in found if not one.ok]
    said = complaints(paths)
    if as_json:
        shown = [one.described() for one in found]
        data_json({"ok": not bad, "checks": shown, "complaints": said})
        return EXIT_FINDINGS if bad else 0
    section = ""
    for one in found:
        if one.section != section:
            section = one.section
            data(section)
        data(_line(one))
    if said:
        data("newest complaints in the logs")
        for line in said:
            data(f"      {printable(line)}")
    talk(f"{len(bad)} {'finding' if len(bad) == 1 else 'findings'}" if bad else "nothing found")
    return EXIT_FINDINGS if bad else 0


def _looked_at(paths: "Paths") -> "Iterator[Finding]":
    from hum.findings import Finding, on_disk
    from hum.running import running
    from hum.version import sentence

    system = f"{platform.system()} {platform.machine()}, Python {sys.version.split()[0]}"
    yield Finding(section="versions", what="hum", said=f"{sentence()}; {system}")
    for section, looks in (("directories", on_disk), ("running", running)):
        try:
            yield from looks(paths, os.environ)
        except OSError as problem:  # the rest of the section is behind it
            said = f"{problem.filename}: {problem.strerror}, so nothing more is seen here"
            mend = f"ls -ld {problem.filename}"
            yield Finding(section=section, what="hidden", said=said, ok=False, mend=mend)


def _line(one: "Finding") -> str:
    said = printable(f"{one.what}: {one.said}").replace("\n", "\n      ")
    if one.ok:
        return f"  {click.style('ok', fg='green')}  {said}"
    mend = f"\n      {printable(one.mend)}" if one.mend else ""
    return f"  {click.style('!!', fg='red')}  {said}{mend}"
