"""The table of prices that comes with hum."""

from pathlib import Path

from humd.core.prices import read_table
from humd.core.spending import Prices

TABLE = Path(__file__).parents[1] / "prices.json"


def bundled_prices() -> Prices:
    """What models cost, as far as the table knows."""
    return read_table(TABLE.read_bytes())[1]
