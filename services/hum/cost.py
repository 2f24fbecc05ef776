"""`hum cost`: what was used on a day and what is left, by the numbers that budgets hold."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from hum.output import data, data_json, printable, table, talk
from thrum.limits import MICROS, read_limit, shown

SUMMED = (
    "requests", "running", "cancelled", "failed", "input_tokens", "output_tokens",
    "cache_read_tokens", "cache_write_tokens", "estimated_tokens", "unpriced_tokens",
    "micros", "held_tokens", "held_micros",
)  # fmt: skip
"""Numbers of a row that are added up."""

Row = Mapping[str, Any]


def _day(ctx: click.Context, option: click.Parameter, value: str | None) -> str | None:
    if value is not None:
        try:
            datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=UTC)
        except ValueError:
            raise click.BadParameter("a date such as 2030-12-31") from None
    return value


@click.command
@click.option("--today", is_flag=True, help="The day that it is now, in UTC. [yes]")
@click.option("--day", callback=_day, help="Another day, such as 2030-12-31.")
@click.option("--by", type=click.Choice(["model", "key", "agent", "schedule"]), default="model")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def cost(*, today: bool, day: str | None, by: str, as_json: bool) -> None:
    """Show what was used on a day, and every budget: used, reserved and left.

    Days are those of UTC. What costs money but has no known price is named, not guessed.
    """
    from hum.admin import ask_admin

    if today and day is not None:
        raise click.UsageError("either --today or --day")
    told = ask_admin("/api/costs" + (f"?day={day}" if day is not None else ""))
    keys = _own_limits(told)
    if as_json:
        rows = [{"by": name, **row} for name, row in summed(told["rows"], by).items()]
        data_json({**told, "by": by, "sums": rows, "total": total_of(told["rows"]), "limits": keys})
        return
    for line in lines_of(told, by, keys):
        data(line)
    if unpriced := sorted({row["model"] for row in told["rows"] if row["unpriced_tokens"]}):
        named = printable(", ".join(unpriced))
        talk(f"no price is known for {named}: their cost is missing above; see humd.prices")


def summed(rows: Sequence[Row], by: str) -> dict[str, dict[str, int]]:
    """Rows added up by one of their names, the most expensive first."""
    sums: dict[str, dict[str, int]] = {}
    for row in rows:
        into = sums.setdefault(str(row[by]), dict.fromkeys(SUMMED, 0))
        for name in SUMMED:
            into[name] += row[name]
    return dict(sorted(sums.items(), key=lambda item: (-item[1]["micros"], item[0])))


def total_of(rows: Sequence[Row]) -> dict[str, int]:
    """All rows added up."""
    return {name: sum(row[name] for row in rows) for name in SUMMED}


def lines_of(told: Mapping[str, Any], by: str, limits: Sequence[Row]) -> Iterator[str]:
    """What a person reads."""
    day = datetime.fromtimestamp(told["day_ms"] // 1_000, UTC).strftime("%Y-%m-%d")
    sums = summed(told["rows"], by)
    if not sums:
        yield f"{day} (UTC): nothing was asked"
    else:
        head = (by, "requests", "tokens in", "out", "cached", "estimated", "US dollars")
        total = ("all", total_of(told["rows"]))
        rows = [_line(name or "(none)", row) for name, row in (*sums.items(), total)]
        yield f"{day} (UTC)"
        yield table([head, *rows])
    budgets = [*map(_budget, told["budgets"]), *map(_budget, limits)]
    if budgets:
        yield ""
        yield table([("budget", "for", "used and reserved", "left", "until (UTC)"), *budgets])


def _line(name: str, row: Row) -> tuple[str, ...]:
    cached = row["cache_read_tokens"] + row["cache_write_tokens"]
    running = f" ({row['running']} running)" if row["running"] else ""
    return (
        printable(name),
        f"{row['requests']:,}{running}",
        f"{row['input_tokens']:,}",
        f"{row['output_tokens']:,}",
        f"{cached:,}",
        f"{row['estimated_tokens']:,}",
        f"{row['micros'] / MICROS:.4f}" + (" + ?" if row["unpriced_tokens"] else ""),
    )


def _budget(budget: Row) -> tuple[str, ...]:
    unit = budget["unit"]
    names = ("key", "agent", "model", "schedule")
    named = [f"{name} {budget[name]}" for name in names if budget[name] != "*"]
    if budget["who"] and budget["each"] != "all":
        named = [f"{budget['each']} {budget['who']}"]
    ends = datetime.fromtimestamp(budget["ends_ms"] // 1_000, UTC).strftime("%Y-%m-%d %H:%M")
    left = max(0, budget["amount"] - budget["used"])
    used = shown(budget["used"], unit)
    return budget["limit"], printable(" ".join(named) or "all"), used, shown(left, unit), ends


def _own_limits(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The limits of clients' keys, with what was used of each."""
    from hum.key_verbs import all_keys

    used = {(one["key"], one["window"]): one for one in told["keys"]}
    found = []
    for key in all_keys():
        for text in key.limits:
            limit = read_limit(text)
            assert limit is not None  # the file was checked
            if key.state(told["at_ms"]) == "live":
                uses = used.get((key.id, limit.window), {})
                found.append(
                    {
                        "limit": text, "key": key.id, "agent": "*", "model": "*",
                        "schedule": "*", "each": "key",
                        "who": key.id, "unit": limit.unit, "used": uses.get(limit.unit, 0),
                        "amount": limit.amount, "ends_ms": limit.ends_ms(told["at_ms"]),
                    }
                )  # fmt: skip
    return found
