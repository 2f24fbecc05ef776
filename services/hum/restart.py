"""`humctl restart`: down, then up."""

import os

import click


@click.command
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def restart(*, as_json: bool) -> None:
    """Stop everything, then start it again. Fine when nothing runs."""
    from hum.down import stop_all
    from hum.up import bring_up
    from nest.paths import Paths

    stop_all(Paths.from_environment(os.environ))
    bring_up(roots=(), foreground=False, as_json=as_json)
