"""What `hum top` shows: two looks at the costs of today, and lines that fit a terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hum.cost import summed, total_of
from hum.output import printable
from thrum.limits import MICROS

BAR_CHARS = 20
NAME_CHARS_MIN = 12
_TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")


@dataclass(frozen=True, slots=True)
class Look:
    """What was told at one moment."""

    costs: Mapping[str, Any]
    bees: Sequence[Mapping[str, Any]]

    @property
    def at_ms(self) -> int:
        return int(self.costs["at_ms"])


@dataclass(frozen=True, slots=True)
class Rates:
    """What happened between two looks, for a second."""

    requests: float
    tokens: float


def rates_of(before: Look | None, now: Look) -> Rates:
    """The rates between two looks of one day; none when there is only one, or a day between."""
    if before is None or before.costs["day_ms"] != now.costs["day_ms"]:
        return Rates(0.0, 0.0)
    seconds = (now.at_ms - before.at_ms) / 1_000
    if seconds <= 0:
        return Rates(0.0, 0.0)
    first, second = total_of(before.costs["rows"]), total_of(now.costs["rows"])
    tokens = sum(second[name] - first[name] for name in _TOKENS)
    return Rates((second["requests"] - first["requests"]) / seconds, tokens / seconds)


def view(before: Look | None, now: Look, *, by: str) -> dict[str, Any]:
    """Everything that is shown, as plain values."""
    total, rates = total_of(now.costs["rows"]), rates_of(before, now)
    workers = [bee for bee in now.bees if "worker" in (bee.get("bee") or ())]
    return {
        "at_ms": now.at_ms,
        "running": total["running"],
        "requests": total["requests"],
        "requests_per_second": round(rates.requests, 2),
        "tokens_per_second": round(rates.tokens, 1),
        "failed": total["failed"],
        "cancelled": total["cancelled"],
        "micros": total["micros"],
        "unpriced_tokens": total["unpriced_tokens"],
        "workers": {
            "connected": sum(1 for bee in workers if bee.get("connected")),
            "away": sum(1 for bee in workers if not bee.get("connected")),
        },
        "by": by,
        "rows": [{"name": name, **row} for name, row in summed(now.costs["rows"], by).items()],
        "budgets": list(now.costs["budgets"]),
    }


def render(shown: Mapping[str, Any], *, width: int, height: int) -> list[str]:
    """The lines of a screen of that size, none longer and not more of them."""
    at = datetime.fromtimestamp(shown["at_ms"] // 1_000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    workers = shown["workers"]
    away = f", {workers['away']} away" if workers["away"] else ""
    unpriced = " and what has no price" if shown["unpriced_tokens"] else ""
    now = (
        f"{shown['running']} running   {shown['requests_per_second']:.1f} requests/s   "
        f"{shown['tokens_per_second']:,.0f} tokens/s"
    )
    today = (
        f"today: {shown['requests']:,} requests, {shown['failed']:,} failed, "
        f"{shown['cancelled']:,} cancelled, {shown['micros'] / MICROS:.4f} US dollars{unpriced}"
    )
    title = f"hum top  {at} UTC   {workers['connected']} workers{away}   q: leave   m, k, a: by"
    lines = [title, now, today, "", *_rows(shown, width)]
    if shown["budgets"]:
        lines += ["", *(_budget(budget, width) for budget in shown["budgets"])]
    return [line[:width] for line in lines[:height]]


def _rows(shown: Mapping[str, Any], width: int) -> list[str]:
    chars = max(NAME_CHARS_MIN, width - 64)
    head = f"{shown['by']:<{chars}}"
    numbers = ("running", "requests", "failed", "tokens in", "tokens out", "dollars")
    lines = [head + "".join(f"{name:>{size}}" for name, size in zip(numbers, _SIZES, strict=True))]
    for row in sorted(shown["rows"], key=lambda row: (-row["running"], -row["requests"])):
        name = printable(row["name"] or "(none)")[: chars - 1]
        cells = (
            f"{row['running']:,}", f"{row['requests']:,}", f"{row['failed']:,}",
            f"{row['input_tokens'] + row['cache_read_tokens'] + row['cache_write_tokens']:,}",
            f"{row['output_tokens']:,}", f"{row['micros'] / MICROS:.4f}",
        )  # fmt: skip
        told = "".join(f"{cell:>{size}}" for cell, size in zip(cells, _SIZES, strict=True))
        lines.append(f"{name:<{chars}}{told}")
    return lines


_SIZES = (9, 10, 8, 13, 12, 12)


def _budget(budget: Mapping[str, Any], width: int) -> str:
    """A budget as a bar: what is used or reserved of it."""
    amount = budget["amount"]
    share = min(1.0, budget["used"] / amount) if amount else 1.0
    full = round(share * BAR_CHARS)
    bar = "#" * full + "." * (BAR_CHARS - full)
    who = printable(budget["who"] or "all")
    return f"[{bar}] {share:4.0%} of {budget['limit']}, {who}"[:width]
