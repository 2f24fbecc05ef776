"""`hum bench`, as far as it can be shown without what it needs to measure."""

from typing import Any

import click

CONNECTIONS_MAX = 1_024
ROUNDS_MAX = 1_000
SECONDS_MAX = 600.0
SINGLES_MAX = 100_000


@click.command(context_settings={"show_default": True})
@click.option("--against", required=True, metavar="URL", help="Base URL of the other one.")
@click.option("--url", metavar="URL", help="Base URL to compare with it; unasked, hum's own front.")
@click.option("--model", required=True, help="Model to ask for; both must have it.")
@click.option("--connections", type=click.IntRange(1, CONNECTIONS_MAX), default=32)
@click.option("--rounds", type=click.IntRange(1, ROUNDS_MAX), default=5)
@click.option(
    "--singles", type=click.IntRange(1, SINGLES_MAX), default=100,
    help="Requests one at a time, in each round.",
)  # fmt: skip
@click.option(
    "--seconds", type=click.FloatRange(0.1, SECONDS_MAX), default=2.0,
    help="How long many ask at once, in each round.",
)  # fmt: skip
@click.option("--key-env", metavar="NAME", help="Variable that holds the key of --url.")
@click.option("--against-key-env", metavar="NAME", help="Variable that holds that of --against.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def bench(
    *,
    against: str,
    url: str | None,
    model: str,
    key_env: str | None,
    against_key_env: str | None,
    as_json: bool,
    **plan: Any,
) -> None:
    """Compare two addresses of the OpenAI dialect, in turns, on this machine.

    Every request asks a model and is paid for; the defaults ask each address a few thousand times.
    """
    from hum.bench.command import compare_addresses

    compare_addresses(
        against=against,
        url=url,
        model=model,
        key_env=key_env,
        against_key_env=against_key_env,
        as_json=as_json,
        **plan,
    )
