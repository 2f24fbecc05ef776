"""The table of prices: that of `prices.json`, which has a date, and over it the settings' own."""

from collections.abc import Iterable
from typing import Any

import orjson

from humd.core.spending import Prices
from thrum.limits import read_money


def read_table(raw: bytes) -> tuple[str, Prices]:
    """The date of a table and what it says. Raises `ValueError`."""
    found = orjson.loads(raw)
    return str(found["date"]), dict(map(_entry, found["models"].items()))


def with_own(table: Prices, own: Iterable[tuple[str, Iterable[str | None]]]) -> Prices:
    """`table` with a person's own prices; one of the same name or pattern is replaced.

    A price for a cache that is absent is that of input.
    """
    prices = table | {model: _four(texts) for model, texts in own}
    return dict(sorted(prices.items()))  # as the log gives them back


def _entry(entry: tuple[str, Any]) -> tuple[str, list[int]]:
    model, prices = entry
    return model, _four(prices)


def _four(texts: Iterable[str | None]) -> list[int]:
    found = [None if text is None else read_money(text) for text in texts]
    if len(found) < 2 or found[0] is None or found[1] is None:
        raise ValueError("a price is missing")
    found += [None] * (4 - len(found))
    return [found[0] if one is None else one for one in found]
