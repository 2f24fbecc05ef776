"""`hum thehum repair` and `restore`: what an owner does about a damaged log, while hum is down."""

import getpass
from typing import Any

import click

JSON = click.option("--json", "as_json", is_flag=True, help="For programs; the fields stay.")
BY = click.option("--by", help="Who does it, for the record. [your user name]")


@click.command()
@click.option("--full", is_flag=True, help="Look at every signature, not one for each segment.")
@BY
@JSON
def repair(*, full: bool, by: str | None, as_json: bool) -> None:
    """Put damaged segments aside, whole, and go on with every event that is good.

    Nothing is deleted: the damaged files are in quarantine/ afterwards. The log says which events
    were lost. Doing it again does no harm. When the end of the log is lost it does nothing: see
    `restore`.
    """
    import os

    from hum.output import data, data_json, talk
    from nest.paths import Paths
    from thrum.errors import LocalError

    root = Paths.from_environment(os.environ).thehum
    if not (root.is_dir() and any(root.iterdir())):
        raise LocalError(f"there is no log in {root}", hint="hum up")
    done = _offline("repair", {"every": full, "by": by or getpass.getuser()})
    if as_json:
        data_json(done)
        return
    if not done["gaps"]:
        data("nothing is damaged")
        return
    for gap in done["gaps"]:
        data(f"lost: events {gap['first_seq']:,} to {gap['last_seq']:,}")
    for name in done["kept"]:
        data(f"kept: {name}")
    talk(f"the log goes on behind event {done['head_seq']:,}", dim=True)


@click.command()
@click.option("--yes", is_flag=True, help="Do it.")
@click.option("--reason", help="Why, for the record.")
@BY
@JSON
def restore(*, yes: bool, reason: str | None, by: str | None, as_json: bool) -> None:
    """Go on from this copy of the log, though the newest events are not in it.

    The log begins its next life: it says so in an event, with what was remembered of the one
    before, and its checkpoints bear the number of that life. What others hold of the lost events
    stays proof of them.
    """
    import os

    from hum.log_head import read_trouble
    from hum.output import data, data_json
    from nest.paths import Paths

    trouble = read_trouble(Paths.from_environment(os.environ).thehum)
    if not yes:
        told = f"{trouble['reason']}. " if trouble else ""
        raise click.UsageError(f"{told}Events that were acknowledged are given up: say --yes")
    order: dict[str, Any] = {"by": by or getpass.getuser(), "reason": reason}
    done = _offline("restore", order)
    if as_json:
        data_json(done)
        return
    data(
        f"life {done['epoch']} of the log begins with event {done['seq']:,}, behind "
        f"{done['kept_seq']:,}; {done['old']['seq']:,} was remembered"
    )


def _offline(verb: str, order: dict[str, Any]) -> dict[str, Any]:
    import os

    from hum.forget_verbs import offline
    from nest.paths import Paths

    return offline(Paths.from_environment(os.environ), verb, order)
