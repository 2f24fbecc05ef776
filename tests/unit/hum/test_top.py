"""`hum top` and `hum cost`: what is shown of what was told."""

from typing import Any

import pytest

from hum.cost import SUMMED, lines_of, summed
from hum.top_view import Look, rates_of, render, view

DAY_MS = 1_700_006_400_000


def row(model: str, **numbers: int) -> dict[str, Any]:
    return {"key": "k", "agent": "a", "model": model, **dict.fromkeys(SUMMED, 0), **numbers}


def told(*rows: Any, at_ms: int = DAY_MS + 1_000, day_ms: int = DAY_MS, **more: Any) -> Any:
    return {
        "at_ms": at_ms, "day_ms": day_ms, "rows": list(rows), "budgets": [], "keys": [], **more,
    }  # fmt: skip


BUDGET = {
    "limit": "5 usd/day", "key": "*", "agent": "*", "model": "*", "schedule": "*", "each": "agent",
    "who": "ada", "unit": "usd", "used": 2_500_000, "amount": 5_000_000,
    "ends_ms": DAY_MS + 86_400_000,
}  # fmt: skip


def test_rows_are_added_up_by_one_of_their_names() -> None:
    rows = [row("m", micros=1, requests=2), row("n", micros=5), row("m", micros=3, requests=1)]

    assert [(name, each["micros"]) for name, each in summed(rows, "model").items()] == [
        ("n", 5), ("m", 4),
    ]  # fmt: skip
    assert summed(rows, "agent")["a"]["requests"] == 3


def test_costs_name_the_day_the_sums_and_what_is_left_of_budgets() -> None:
    rows = [row("m\x1b[2J", requests=2, running=1, micros=1_250_000, unpriced_tokens=1)]

    lines = "\n".join(lines_of(told(*rows, budgets=[BUDGET]), "model", [BUDGET]))

    assert "2023-11-15 (UTC)" in lines
    assert "\x1b" not in lines
    assert "2 (1 running)" in lines
    assert "1.2500 + ?" in lines
    assert lines.count("agent ada") == 2
    assert "2.5" in lines
    assert "nothing was asked" in "\n".join(lines_of(told(), "model", []))


def test_rates_are_what_happened_between_two_looks() -> None:
    before = Look(told(row("m", requests=5, input_tokens=10)), [])
    now = Look(told(row("m", requests=9, input_tokens=30), at_ms=DAY_MS + 3_000), [])

    assert (rates_of(before, now).requests, rates_of(before, now).tokens) == (2.0, 10.0)
    assert rates_of(None, now).requests == 0
    assert rates_of(now, now).requests == 0
    tomorrow = Look(told(row("m", requests=1), day_ms=DAY_MS + 1, at_ms=DAY_MS + 9_000), [])
    assert rates_of(now, tomorrow).requests == 0


@pytest.mark.parametrize(("width", "height"), [(20, 3), (80, 24), (200, 60)])
def test_a_screen_is_never_wider_or_longer_than_the_terminal(width: int, height: int) -> None:
    rows = [row(f"model-{number}", requests=number, running=number % 2) for number in range(100)]
    now = Look(told(*rows, budgets=[BUDGET] * 9), [])

    lines = render(view(None, now, by="model"), width=width, height=height)

    assert len(lines) <= height
    assert all(len(line) <= width for line in lines)


def test_what_runs_is_first_and_budgets_are_bars() -> None:
    rows = [row("idle", requests=9), row("busy", requests=1, running=1, unpriced_tokens=1)]
    bees: Any = [{"bee": ["worker"], "connected": True}, {"bee": ["worker"]}, {"bee": ["forager"]}]
    now = Look(told(*rows, budgets=[BUDGET, {**BUDGET, "amount": 0}]), bees)

    shown = view(None, now, by="model")
    text = "\n".join(render(shown, width=100, height=40))

    assert text.index("busy") < text.index("idle")
    assert "1 workers, 1 away" in text
    assert "[##########..........]  50% of 5 usd/day, ada" in text
    assert "100%" in text
    assert "what has no price" in text
