"""Budgets: what is reserved, settled, released and refused, the same live and in replay."""

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.world import World

from humd.core import budgets, costs
from humd.core.arrivals import Refusal
from humd.core.leaves import freeze, leaves
from humd.core.prices import read_table, with_own
from humd.core.sessions import PROMPTS_WAITING_MAX
from humd.core.spending import OTHER, ROWS_MAX, WINDOWS_KEPT, Row, Spending
from humd.edge.prices import TABLE, bundled_prices
from thrum.errors import Qualifier

PRICES = {"free": [0, 0, 0, 0], "m": [2_000_000, 10_000_000, 500_000, 2_000_000]}
USAGE = {"input_tokens": 10, "output_tokens": 5}
HOUR_MS = 3_600_000


def world_of(*limits: Any, unknown_price: str = "refuse") -> World:
    """A humd with budgets (a text, or all of one), a worker and an asker."""
    world = World()
    rules = [{"limit": limit} if isinstance(limit, str) else limit for limit in limits]
    world.basis = replace(world.basis, budgets=rules, prices=PRICES, unknown_price=unknown_price)
    world.boots()
    world.joins("W", "worker", models=["m", "free", "odd"])
    world.joins("A", "asker")
    return world


def ask(world: World, sid: str, *, model: str = "m", **account: Any) -> Refusal | None:
    told = {"tokens": [100, 50], **account}
    verdict = world.says("A", "prompt", sid=sid, modelId=model, account=told)
    assert verdict is None or isinstance(verdict, Refusal)
    return verdict


def finish(world: World, sid: str, reason: str = "end_turn", **usage: int) -> None:
    world.says("W", "finish", sid=sid, finishReason=reason, usage=usage or USAGE)


def day(world: World) -> Row:
    """The one row of today."""
    view = costs.view(world.state, at_ms=world.now_ms, day_ms=world.now_ms)
    (row,) = view["rows"]
    return Row(**{name: row[name] for name in Row.__dataclass_fields__})


def is_replayed(world: World) -> bool:
    """Whether a new humd would come to the same numbers, and to the same leaves."""
    again = world.replayed()
    same = list(leaves(freeze(again))) == list(leaves(freeze(world.state)))
    return same and again.spending.rows == world.state.spending.rows


def test_a_turn_is_reserved_when_it_is_taken_and_settled_when_it_ends() -> None:
    world = world_of()
    ask(world, "s")
    held = day(world)
    assert (held.requests, held.running, held.held_tokens) == (1, 1, 150)
    assert held.held_micros == 100 * 2 + 50 * 10
    assert held.used("usd") == 700

    finish(world, "s", input_tokens=10, output_tokens=5, cache_read_input_tokens=4)
    row = day(world)

    assert (row.running, row.held_tokens, row.held_micros) == (0, 0, 0)
    assert (row.input_tokens, row.output_tokens, row.cache_read_tokens) == (10, 5, 4)
    assert row.micros == 10 * 2 + 5 * 10 + 2
    assert row.estimated_tokens == 0
    assert is_replayed(world)


def test_exactly_as_many_are_taken_as_the_budget_allows() -> None:
    """Features D12."""
    world = world_of("50 requests/day")

    verdicts = [ask(world, f"s{number}") for number in range(200)]

    assert verdicts.count(None) == 50
    refused = verdicts[-1]
    assert refused is not None
    assert refused.qualifier is Qualifier.BUDGET_SPENT
    assert "50 requests/day" in refused.message
    assert refused.retry_ms == 86_400_000 - world.now_ms % 86_400_000
    assert is_replayed(world)


def test_money_is_reserved_so_that_many_at_once_do_not_pass_the_limit() -> None:
    world = world_of("0.035 usd/day")  # fifty reservations of 700 millionths

    assert [ask(world, f"s{number}") for number in range(60)].count(None) == 50
    for number in range(50):
        finish(world, f"s{number}")
    assert day(world).micros == 50 * 70
    assert ask(world, "more") is None


def test_a_budget_is_of_its_window() -> None:
    world = world_of("1 requests/minute")
    assert ask(world, "s1") is None
    refused = ask(world, "s2")
    assert refused is not None
    assert refused.qualifier is Qualifier.RATE_LIMITED
    assert refused.retry_ms is not None

    world.now_ms += refused.retry_ms

    assert ask(world, "s3") is None


@pytest.mark.parametrize(
    ("rule", "taken"),
    [
        ({"limit": "1 requests/day"}, 1),
        ({"limit": "1 requests/day", "each": "key"}, 2),
        ({"limit": "1 requests/day", "each": "agent"}, 4),
        ({"limit": "1 requests/day", "each": "model"}, 2),
        ({"limit": "1 requests/day", "agent": "a*"}, 4),
        ({"limit": "0 requests/day", "model": "free"}, 4),
        ({"limit": "0 requests/day", "key": "k?"}, 0),
        ({"limit": "0 requests/day", "key": "x"}, 8),
        ({"limit": "1 requests/day", "agent": "a*", "each": "model"}, 5),
    ],
)
def test_a_budget_counts_together_what_it_says(rule: dict[str, str], taken: int) -> None:
    world = world_of(rule)
    asked = [
        ("k1", "ada", "m"), ("k1", "ada", "m"), ("k1", "bob", "m"), ("k2", "bob", "m"),
        ("k2", "cy", "free"), ("k2", "ada", "free"), ("k1", "ada", "free"), ("k1", "ann", "free"),
    ]  # fmt: skip

    verdicts = [
        ask(world, f"s{number}", id=key, agent=agent, model=model)
        for number, (key, agent, model) in enumerate(asked)
    ]

    assert verdicts.count(None) == taken


@pytest.mark.parametrize(
    ("rule", "taken"),
    [
        ({"limit": "1 requests/day", "schedule": "night*"}, 4),
        ({"limit": "0 requests/day", "schedule": "?*"}, 2),
        ({"limit": "1 requests/day", "each": "schedule"}, 3),
        ({"limit": "1 requests/day", "each": "schedule", "schedule": "?*"}, 4),
    ],
)
def test_a_budget_is_of_schedules(rule: dict[str, str], taken: int) -> None:
    """Features D12."""
    world = world_of(rule)

    asked = ["nightly", "nightly", "weekly", "", ""]
    verdicts = [ask(world, f"s{at}", schedule=name) for at, name in enumerate(asked)]

    assert verdicts.count(None) == taken
    shown = costs.view(world.state, at_ms=world.now_ms, day_ms=world.now_ms)["rows"]
    rows = {row["schedule"]: row["requests"] for row in shown}
    assert sum(rows.values()) == taken
    assert is_replayed(world)


def test_the_limits_of_a_key_hold_for_all_that_is_asked_with_it() -> None:
    world = world_of()
    limits = ["2 requests/day", "1000 usd/month"]

    assert ask(world, "s1", id="k", limits=limits) is None
    assert ask(world, "s2", id="k", agent="x", model="free", limits=limits) is None
    assert ask(world, "s3", id="k", limits=limits) is not None
    assert ask(world, "s4", id="other", limits=limits) is None
    assert ask(world, "s5", id="k") is None


def test_what_would_never_fit_is_said_to_be_so() -> None:
    refused = ask(world_of("100 tokens/hour"), "s")

    assert refused is not None
    assert "never fit" in refused.message
    assert refused.retry_ms is None


def test_a_model_without_a_price_is_refused_by_a_budget_in_money_and_by_no_other() -> None:
    refused = ask(world_of("5 usd/day"), "s", model="odd")
    assert refused is not None
    assert refused.qualifier is Qualifier.BUDGET_NO_PRICE
    assert "humd.prices" in refused.message
    assert ask(world_of("5 requests/day"), "s", model="odd") is None

    world = world_of("5 usd/day", unknown_price="ignore")
    assert ask(world, "s", model="odd") is None
    finish(world, "s")
    row = day(world)
    assert (row.micros, row.unpriced_tokens, row.input_tokens) == (0, 15, 10)
    assert is_replayed(world)


def test_a_prompt_that_waits_is_reserved_and_released_when_it_is_cancelled() -> None:
    world = world_of("3 requests/day")
    for _ in range(3):
        assert ask(world, "s") is None
    assert ask(world, "s") is not None

    world.says("A", "cancel", sid="s")
    assert day(world).requests == 1
    finish(world, "s", "cancelled", input_tokens=7)

    row = day(world)
    assert (row.requests, row.cancelled, row.input_tokens, row.running) == (1, 1, 7, 0)
    assert is_replayed(world)


def test_a_prompt_that_waited_is_settled_as_itself() -> None:
    world = world_of()
    ask(world, "s", agent="one")
    ask(world, "s", agent="two")
    finish(world, "s", input_tokens=1)
    finish(world, "s", input_tokens=2)

    rows = {place.agent: row for place, row in world.state.spending.rows.items()}
    assert (rows["one"].input_tokens, rows["two"].input_tokens) == (1, 2)
    assert not world.state.spending.held
    assert is_replayed(world)


def test_a_refused_prompt_leaves_nothing() -> None:
    world = world_of()
    assert ask(world, "s", model="nobody") is None

    assert not world.state.spending.rows
    assert is_replayed(world)


def test_a_turn_whose_worker_is_lost_costs_what_was_reserved_and_says_so() -> None:
    world = world_of()
    ask(world, "s")
    world.loses("W")

    row = day(world)
    assert (row.failed, row.estimated_tokens, row.micros, row.input_tokens) == (1, 150, 700, 0)
    assert is_replayed(world)


def test_a_turn_that_its_worker_ends_with_an_error_costs_what_it_reports() -> None:
    world = world_of()
    ask(world, "s1")
    world.says("W", "error", sid="s1", message="no", usage={"input_tokens": 3})
    ask(world, "s2")
    world.says("W", "error", sid="s2", message="no")

    row = day(world)
    assert (row.failed, row.input_tokens, row.estimated_tokens, row.micros) == (2, 3, 0, 6)


def test_a_cancelled_turn_that_nobody_counted_is_estimated() -> None:
    world = world_of()
    ask(world, "s")
    world.says("W", "finish", sid="s", finishReason="cancelled", usage={"input_tokens": 0})

    row = day(world)
    assert (row.cancelled, row.estimated_tokens, row.micros) == (1, 100, 200)


def test_a_second_end_of_a_turn_counts_nothing() -> None:
    world = world_of()
    ask(world, "s")
    finish(world, "s")
    finish(world, "s")

    assert day(world).input_tokens == 10


def test_a_turn_counts_in_the_window_in_which_its_prompt_came() -> None:
    world = world_of()
    ask(world, "s")
    began = world.now_ms
    world.now_ms += 26 * HOUR_MS
    finish(world, "s")

    view = costs.view(world.state, at_ms=world.now_ms, day_ms=began)
    assert [row["input_tokens"] for row in view["rows"]] == [10]
    assert costs.view(world.state, at_ms=world.now_ms, day_ms=world.now_ms)["rows"] == []
    assert is_replayed(world)


@pytest.mark.parametrize(
    "account",
    [
        3, [], {"more": 1}, {"id": 3}, {"id": "x" * 65}, {"limits": "5 usd/day"},
        {"limits": ["x"] * 33}, {"tools": [3]}, {"tokens": [1]}, {"tokens": ["1", 2]},
    ],
)  # fmt: skip
def test_a_malformed_account_is_refused(account: Any) -> None:
    verdict = world_of().says("A", "prompt", sid="s", modelId="m", account=account)

    assert isinstance(verdict, Refusal)
    assert verdict.qualifier is Qualifier.TONE_MALFORMED


def test_who_does_not_say_what_it_may_use_is_reserved_an_assumption() -> None:
    world = world_of("10000 tokens/day")
    assert world.says("A", "prompt", sid="s1", modelId="m") is None
    assert isinstance(world.says("A", "prompt", sid="s2", modelId="m"), Refusal)
    assert {place.agent for place in world.state.spending.rows} == {"A"}


def test_rows_and_windows_are_bounded() -> None:
    world = world_of()
    world.keeps_log = False
    for number in range(ROWS_MAX + 10):
        ask(world, f"s{number}", agent=f"a{number}")
        finish(world, f"s{number}")
    view = costs.view(world.state, at_ms=world.now_ms, day_ms=world.now_ms)
    assert len(view["rows"]) == ROWS_MAX + 1
    assert next(row for row in view["rows"] if row["agent"] == OTHER)["requests"] == 10

    for _ in range(40):
        world.now_ms += 24 * HOUR_MS
        ask(world, "s")
        finish(world, "s")
    kept = {(place.window, place.began_ms) for place in world.state.spending.rows}
    kinds = [window for window, _ in kept]
    assert {kind: kinds.count(kind) for kind in WINDOWS_KEPT} == WINDOWS_KEPT


def test_a_key_opens_only_the_tools_that_it_names() -> None:
    world = world_of()
    tools: Any = [
        {"name": name, "description": "", "inputSchema": {}} for name in ("fs_read", "fs_do")
    ]
    world.joins("F", "forager", tools=tools)
    world.says("A", "prompt", sid="s", modelId="m", account={"tools": ["*_read"]})

    (prompt,) = [heard for heard in world.hears("W") if heard.chi == "prompt"]
    assert [tool["name"] for tool in prompt.body["foragerTools"]] == ["fs_read"]
    assert world.says("W", "tool-call", sid="s", callId="1", toolName="fs_read") is None
    for name in ("fs_do", "F_fs_do"):
        refused = world.says("W", "tool-call", sid="s", callId="2", toolName=name)
        assert isinstance(refused, Refusal)
        assert refused.qualifier is Qualifier.AUTH_DENIED
    finish(world, "s")
    assert world.says("A", "prompt", sid="s", modelId="m") is None
    assert world.says("W", "tool-call", sid="s", callId="3", toolName="fs_do") is None


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(("ask", "finish", "cancel", "error", "lose", "boot", "wait", "clean")),
        st.integers(0, 3),
        st.integers(0, 40),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(_STEPS)
def test_whatever_happens_the_sums_are_what_was_reported_and_nothing_stays_held(
    steps: list[tuple[str, int, int]],
) -> None:
    """Features D13: every mix of ends, and no token twice."""
    world, reported = world_of("20 requests/day"), 0
    for step, place, amount in steps:
        sid = f"s{place}"
        session = world.state.sessions.get(sid)
        is_open = session is not None and session.is_open
        if step == "ask":
            ask(world, sid)
        elif step in ("finish", "error") and is_open:
            body: Any = {"finishReason": "end_turn"} if step == "finish" else {"message": "no"}
            if world.says("W", step, sid=sid, usage={"output_tokens": amount}, **body) is None:
                reported += amount
        elif step in ("cancel", "cleanup"):
            world.says("A", "cancel" if step == "cancel" else "cleanup", sid=sid)
        elif step == "lose":
            world.loses("W")
            world.joins("W", "worker", models=["m"])
        elif step == "boot":
            world.boots()
            world.joins("W", "worker", models=["m"])
            world.joins("A", "asker")
        elif step == "wait":
            world.waits(amount * 1_000)
    rows = [row for at, row in world.state.spending.rows.items() if at.window == "day"]

    assert sum(row.output_tokens for row in rows) == reported
    assert is_replayed(world)
    waiting = sum(
        session.is_open + len(session.waiting) for session in world.state.sessions.by_sid.values()
    )
    assert len(world.state.spending.held) == waiting <= 4 * (PROMPTS_WAITING_MAX + 1)
    assert sum(row.running for row in rows) == waiting
    assert sum(row.held_tokens for row in rows) == 150 * waiting
    assert sum(row.requests for row in rows) <= 20


def test_the_table_of_prices_has_a_date_and_settings_beat_it() -> None:
    date, table = read_table(TABLE.read_bytes())
    assert orjson.loads(TABLE.read_bytes())["date"] == date
    assert bundled_prices() == table

    spending = Spending()
    spending.stand_on(with_own(table, [("my-*", ("1", "2", None, "3")), ("gpt-5", ("0", "0"))]))

    assert spending.price("my-model") == [1_000_000, 2_000_000, 1_000_000, 3_000_000]
    assert spending.price("gpt-5") == [0, 0, 0, 0]
    assert spending.price("gpt-5-mini-2025-08-07") == table["gpt-5-mini*"]
    assert spending.price("scout") == [0, 0, 0, 0]
    assert spending.price("gpt-99") is None
    with pytest.raises(ValueError, match="missing"):
        read_table(b'{"date": "x", "models": {"m": ["1"]}}')


def test_a_view_tells_used_and_limit_of_every_budget_and_key() -> None:
    rule = {"limit": "5 requests/day", "key": "*", "agent": "*", "model": "*", "each": "agent"}
    world = world_of(rule, "1 usd/month")
    ask(world, "s1", id="k", agent="ada")
    ask(world, "s2", agent="bob")

    view = costs.view(world.state, at_ms=world.now_ms, day_ms=world.now_ms)

    told = {(one["limit"], one["who"]): one["used"] for one in view["budgets"]}
    assert told == {
        ("5 requests/day", "ada"): 1,
        ("5 requests/day", "bob"): 1,
        ("1 usd/month", ""): 1_400,
    }
    keys = {one["window"]: one for one in view["keys"]}
    assert keys["day"] == {"key": "k", "window": "day", "requests": 1, "tokens": 150, "usd": 700}
    assert set(keys) == set(WINDOWS_KEPT)
    assert budgets.rules_of([{"limit": "x"}, {"limit": "1 usd/day", "each": "x"}]) == ()
