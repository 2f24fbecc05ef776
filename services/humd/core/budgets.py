"""Whether a prompt may be taken: the limits of its key, and the budgets of this humd.

A limit holds for what was settled and what is reserved in its window. A prompt passes when its own
reservation still fits, so a limit is passed by no more than what turns use beyond what was reserved
for them. Nothing here changes the state: what is taken is noted by `humd.core.spending`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache

from humd.core.arrivals import Refusal
from humd.core.spending import Hold, Place, Spending, account_of
from thrum.errors import Qualifier
from thrum.limits import Limit, limits_of, read_limit, shown
from thrum.tones import Body

TEXTS_MAX = 32
"""Limits that a prompt may bring, and patterns of tools."""
TEXT_CHARS_MAX = 64
"""Characters of one of them."""
BUDGETS_MAX = 256
"""Budgets of a humd."""
REFUSE = "refuse"
"""What a budget in money does, unless told otherwise, with a model whose price nobody knows."""
EACH = ("all", "key", "agent", "model", "schedule")
"""Whose uses a budget counts together: all that it is for, or those of each of these."""
_SOON = frozenset({"minute", "hour"})


@dataclass(frozen=True, slots=True)
class Rule:
    """One limit, and for whom it is. Patterns are of whole names."""

    limit: Limit
    key: str = "*"
    agent: str = "*"
    model: str = "*"
    each: str = "all"
    schedule: str = "*"

    def is_for(self, who: Place | Hold) -> bool:
        """Whether it limits this."""
        return (
            fnmatchcase(who.key, self.key)
            and fnmatchcase(who.agent, self.agent)
            and fnmatchcase(who.model, self.model)
            and fnmatchcase(who.schedule, self.schedule)
        )

    def counts(self, place: Place, hold: Hold) -> bool:
        """Whether uses of `place` count against `hold`."""
        if self.each != "all" and getattr(place, self.each) != getattr(hold, self.each):
            return False
        return self.is_for(place)


def rules_of(budgets: Iterable[Body]) -> tuple[Rule, ...]:
    """The rules that a basis names; what is malformed is left out: settings were checked."""
    return tuple(_rules(list(budgets)[:BUDGETS_MAX]))


def _rules(budgets: Iterable[Body]) -> Iterator[Rule]:
    for budget in budgets:
        limit = read_limit(str(budget.get("limit")))
        if limit is not None and budget.get("each", "all") in EACH:
            yield Rule(
                limit,
                str(budget.get("key", "*")),
                str(budget.get("agent", "*")),
                str(budget.get("model", "*")),
                str(budget.get("each", "all")),
                str(budget.get("schedule", "*")),
            )


def rules_for(hold: Hold, rules: Iterable[Rule], limits: object) -> list[Rule]:
    """The rules that a prompt is under: those of its key, then those of this humd."""
    found = [Rule(limit, key=hold.key, each="key") for limit in limits_of(limits, TEXTS_MAX)]
    return [*found, *(rule for rule in rules if rule.is_for(hold))]


def judge(
    spending: Spending, hold: Hold, rules: Iterable[Rule], *, unknown_price: str
) -> Refusal | None:
    """Why what `hold` reserves is too much; None when it fits everywhere."""
    for rule in rules:
        if rule.limit.unit == "usd" and not hold.is_priced:
            if unknown_price == REFUSE:
                return _no_price(hold, rule)
            continue
        used, wanted = used_of(spending, rule, hold), hold.amount(rule.limit.unit)
        if used + wanted > rule.limit.amount:
            return _refusal(rule, hold, used, wanted)
    return None


def used_of(spending: Spending, rule: Rule, hold: Hold) -> int:
    """What counts against `rule` for `hold` now, reservations included."""
    rows = spending.rows_at(rule.limit, hold.at_ms)
    unit = rule.limit.unit
    return sum(row.used(unit) for place, row in rows.items() if rule.counts(place, hold))


def _refusal(rule: Rule, hold: Hold, used: int, wanted: int) -> Refusal:
    limit = rule.limit
    is_soon = limit.window in _SOON
    qualifier = Qualifier.RATE_LIMITED if is_soon else Qualifier.BUDGET_SPENT
    who = rule.each if rule.each != "all" else "budget"
    name = f" {getattr(hold, rule.each)}" if rule.each != "all" else ""
    text = (
        f"the limit of {limit} of this {who}{name} is reached: {shown(used, limit.unit)} is used "
        f"or reserved, and this request may use {shown(wanted, limit.unit)}"
    )
    if wanted > limit.amount:
        return Refusal(qualifier, f"{text}; it would never fit")
    return Refusal(qualifier, text, retry_ms=limit.ends_ms(hold.at_ms) - hold.at_ms)


def _no_price(hold: Hold, rule: Rule) -> Refusal:
    return Refusal(
        Qualifier.BUDGET_NO_PRICE,
        f"no price is known for the model {hold.model!r}, so the limit of {rule.limit} cannot hold "
        "it: name its price in humd.prices, or set humd.unknownPrice to ignore",
    )


def problem_of(account: object) -> str | None:
    """What is wrong with a prompt's account; None when nothing is, or there is none.

    What passes is short enough for the log to keep it whole wherever the body goes.
    """
    if account is None:
        return None
    if type(account) is not dict or account.keys() - _ACCOUNT.keys():
        return f"it may hold {', '.join(_ACCOUNT)}"
    return next((f"{key} is wrong" for key in account if not _ACCOUNT[key](account[key])), None)


def _is_text(value: object) -> bool:
    return type(value) is str and len(value) <= TEXT_CHARS_MAX


def _are_texts(value: object) -> bool:
    return type(value) is list and len(value) <= TEXTS_MAX and all(map(_is_text, value))


def _are_counts(value: object) -> bool:
    return type(value) is list and len(value) == 2 and all(type(one) is int for one in value)


_ACCOUNT = {
    "id": _is_text,
    "agent": _is_text,
    "schedule": _is_text,
    "limits": _are_texts,
    "tools": _are_texts,
    "tokens": _are_counts,
}


def open_tools_of(body: Body) -> tuple[str, ...]:
    """The patterns of tools that the key of a prompt opens; empty: all."""
    return tuple(account_of(body).get("tools", ()))


@lru_cache(maxsize=1_024)
def is_open(tool: str, patterns: tuple[str, ...]) -> bool:
    """Whether these patterns open a tool, by the name that its forager gave it."""
    return not patterns or any(fnmatchcase(tool, pattern) for pattern in patterns)
