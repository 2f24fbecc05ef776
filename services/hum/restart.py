"""`humctl restart`: down, then up."""

import os

import click

from hum.down import stop_all
from hum.up import up
from nest.paths import Paths


@click.command
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def restart(ctx: click.Context, *, as_json: bool) -> None:
    """Stop everything, then start it again. Fine when nothing runs."""
    stop_all(Paths.from_environment(os.environ))
    ctx.invoke(up, roots=(), foreground=False, as_json=as_json)
