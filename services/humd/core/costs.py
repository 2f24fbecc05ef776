"""What was used and what is left, as plain values: the numbers that budgets are judged by."""

from collections.abc import Iterator
from dataclasses import asdict

from humd.core.budgets import Rule
from humd.core.spending import Place, Row
from humd.core.state import State
from thrum.limits import WINDOWS, Limit
from thrum.tones import Body

BUDGETS_SHOWN_MAX = 1_024
"""Lines of budgets in one view; a budget for each agent has one for each."""


def view(state: State, *, at_ms: int, day_ms: int) -> Body:
    """Everything of the day that `day_ms` lies in, and every limit as it stands at `at_ms`."""
    day = Limit(0, "requests", "day")
    rows = state.spending.rows_at(day, day_ms)
    return {
        "at_ms": at_ms,
        "day_ms": day.began_ms(day_ms),
        "rows": [_row(place, row) for place, row in rows.items()],
        "budgets": list(_budgets(state, at_ms))[:BUDGETS_SHOWN_MAX],
        "keys": list(_keys(state, at_ms))[:BUDGETS_SHOWN_MAX],
        "unknown_price": state.basis.unknown_price,
    }


def _row(place: Place, row: Row) -> Body:
    return {
        "key": place.key,
        "agent": place.agent,
        "model": place.model,
        "schedule": place.schedule,
        **asdict(row),
    }


def _budgets(state: State, at_ms: int) -> Iterator[Body]:
    for rule in state.rules:
        for who, used in _uses(state, rule, at_ms).items():
            yield {
                "limit": str(rule.limit),
                "key": rule.key,
                "agent": rule.agent,
                "model": rule.model,
                "schedule": rule.schedule,
                "each": rule.each,
                "who": who,
                "unit": rule.limit.unit,
                "used": used,
                "amount": rule.limit.amount,
                "ends_ms": rule.limit.ends_ms(at_ms),
            }


def _uses(state: State, rule: Rule, at_ms: int) -> dict[str, int]:
    """What counts against a rule, by whom it is counted for."""
    uses: dict[str, int] = {} if rule.each != "all" else {"": 0}
    for place, row in state.spending.rows_at(rule.limit, at_ms).items():
        if rule.is_for(place):
            who = "" if rule.each == "all" else str(getattr(place, rule.each))
            uses[who] = uses.get(who, 0) + row.used(rule.limit.unit)
    return uses


def _keys(state: State, at_ms: int) -> Iterator[Body]:
    """What each key has used in every window that is open, for the limits that it has itself."""
    for window in WINDOWS:
        uses: dict[str, Body] = {}
        for place, row in state.spending.rows_at(Limit(0, "requests", window), at_ms).items():
            if place.key:
                used = uses.setdefault(place.key, {"requests": 0, "tokens": 0, "usd": 0})
                for unit in ("requests", "tokens", "usd"):
                    used[unit] += row.used(unit)
        for key, used in uses.items():
            yield {"key": key, "window": window, **used}
