"""`hum update`: which version runs, which is installed, and how a newer one comes.

hum fetches nothing and runs nothing that it did not come with, so it says what it knows without the
network and no more. `--restart` has the services run the code that is installed, one after another.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nest.paths import Paths
    from orch.core.services import Service

GIT_SECONDS = 10


@click.command
@click.option("--restart", is_flag=True, help="Restart services to the installed code, in order.")
@click.option("--dry-run", is_flag=True, help="With --restart: say what would be restarted.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def update(*, restart: bool, dry_run: bool, as_json: bool) -> int:
    """Show the version that runs, the one that is installed, and how a newer one is got.

    The network is not asked. With --restart every service is restarted, the log and the router
    first, and each has to be ready before the next one. Exit status 1 when another version runs
    than is installed, or when a service does not get ready; 69 for --restart without hum.
    """
    from hum.output import data, data_json, table, talk
    from nest.paths import Paths

    paths = Paths.from_environment(os.environ)
    done: list[str] = []
    late = ""
    if restart:
        for name, reason in _restarted(paths, dry_run=dry_run):
            done.append(name)
            late = reason
            if not as_json:
                talk(f"{'would restart' if dry_run else 'restarted'} {name} {reason}".rstrip())
    found = versions(paths)
    if as_json:
        data_json({"dry_run": dry_run, "restarted": done, "not_ready": late or None, **found})
    else:
        data(table(_rows(found)))
    return 1 if late or found["older"] else 0


def versions(paths: "Paths") -> dict[str, Any]:
    """What is installed, what runs, and what is known of newer ones without asking anybody."""
    from hum.bees import read_manifests
    from hum.rendezvous import read_runtime
    from nest.version import HUM_VERSION

    told = read_runtime(paths)
    runs = {"humd": told.version} if told is not None and not told.is_stale else {}
    ours = _ours()
    runs |= {
        str(one["name"]): str(one["version"])
        for one in read_manifests(paths)
        if one.get("version") and one["name"] in ours
    }
    return {
        "installed": HUM_VERSION,
        "running": runs,
        "older": sorted(name for name, version in runs.items() if version != HUM_VERSION),
        **_newer(),
    }


def _ours() -> set[str]:
    """Services that come with hum and have its version."""
    from hum.stack import bundled

    return {path.stem for path in (bundled() / "orch.d").glob("*.orch")}


def _newer() -> dict[str, Any]:
    """How a newer version is got, and what of it is here already."""
    from hum.uninstall import checkout

    place = checkout()
    if place is None:
        parts = Path(sys.prefix).parts
        how = f"{sys.executable} -m pip install --upgrade hum"
        if "pipx" in parts:
            how = "pipx upgrade hum"
        elif "uv" in parts and "tools" in parts:
            how = "uv tool upgrade hum"
        return {"checkout": None, "commit": None, "newer_commits": None, "how": how}
    count = _git(place, "rev-list", "--count", "HEAD..@{upstream}")
    return {
        "checkout": str(place),
        "commit": _git(place, "rev-parse", "--short", "HEAD"),
        "newer_commits": int(count) if count is not None and count.isdecimal() else None,
        "how": f"git -C {place} pull --ff-only && {place}/scripts/setup && hum update --restart",
    }


def _git(place: Path, *words: str) -> str | None:
    """What git says about a checkout; None when it cannot."""
    try:
        done = subprocess.run(
            ("git", "-C", str(place), *words),
            capture_output=True,
            text=True,
            check=False,
            timeout=GIT_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    running = sorted(set(found["running"].values()))
    rows = [
        ("installed", found["installed"]),
        ("running", ", ".join(running) or "nothing"),
    ]
    if found["older"]:
        said = f"{', '.join(found['older'])}: hum update --restart"
        rows.append(("not installed", said))
    if found["checkout"] is not None:
        count = found["newer_commits"]
        known = "nobody can tell" if count is None else f"{count} newer commits are here"

        rows.append(("checkout", f"{found['checkout']} at {found['commit']}"))
        rows.append(("newer", f"{known}, as of the last git fetch"))
    else:
        rows.append(("newer", "only the network could tell, which is not asked"))
    rows.append(("how", found["how"]))
    return rows


def _restarted(paths: "Paths", *, dry_run: bool) -> "Iterator[tuple[str, str]]":
    """Restart every service that runs, in the order of their needs; each with why it is not ready.

    Ends at the first that is not ready: the rest go on with what they have.
    """
    from hum.applying import STOP_SECONDS_MORE, apply, compiled, planned, wait_for
    from hum.bees import read_connections
    from hum.locked import locked
    from nest.supervisor import Supervisor

    supervisor = Supervisor(paths.supervisor_socket)
    running = {one.name for one in supervisor.programs() if one.pid}
    stack = compiled(paths, os.environ)
    services = in_order([one for one in stack.services if one.name in running])
    if dry_run:
        yield from ((service.name, "") for service in services)
        return
    with locked(paths):
        for service in services:
            only, before = {service.name}, read_connections(paths)
            begun = apply(planned(stack, paths, only=only), stack, paths, only=only)
            if not begun:
                supervisor.stop(
                    service.name, within_seconds=service.timeout_stop + STOP_SECONDS_MORE
                )
                supervisor.start(service.name)
            unready = wait_for([service], paths, before=before)
            late = [one for one in unready if not one.optional]
            yield service.name, late[0].reason if late else ""
            if late:
                return


def in_order(services: "list[Service]") -> "list[Service]":
    """Services by what they need: the log, the router, then the others by name."""
    from orch.core.services import depths

    order = depths(services)
    return sorted(services, key=lambda one: (order[one.name], one.name))
