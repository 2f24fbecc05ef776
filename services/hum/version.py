"""Which hum this is."""

import click

from hum.output import data, data_json
from nest.version import HUM_VERSION
from thrum.chi import THRUM_VERSION


def sentence() -> str:
    """Both versions in one line."""
    return f"hum {HUM_VERSION} (thrum {THRUM_VERSION})"


@click.command
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def version(*, as_json: bool) -> None:
    """Show the versions of hum and of its wire."""
    if as_json:
        data_json({"hum": HUM_VERSION, "thrum": THRUM_VERSION})
    else:
        data(sentence())
