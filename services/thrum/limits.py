"""Limits on what may be used in a time: `5 usd/day`, `60 requests/minute`, `200000 tokens/hour`.

Money is counted in millionths of a dollar. A window begins at a round time of UTC: a day at
midnight, a month on its first day; what was used before it does not count.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, get_args

Unit = Literal["requests", "tokens", "usd"]
Window = Literal["minute", "hour", "day", "month"]

UNITS: tuple[Unit, ...] = get_args(Unit)
WINDOWS: tuple[Window, ...] = get_args(Window)
MICROS = 1_000_000
"""Millionths of a dollar in a dollar."""
AMOUNT_MAX = 10**15
"""The highest limit; more is as good as none."""
WANTED = "AMOUNT requests|tokens|usd / minute|hour|day|month, such as 5 usd/day"

_TEXT = re.compile(
    rf"([0-9]{{1,16}})(\.[0-9]{{1,6}})? *({'|'.join(UNITS)}) */ *({'|'.join(WINDOWS)})"
)
_MS = {"minute": 60_000, "hour": 3_600_000, "day": 86_400_000}


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `amount` of `unit` in a window; of money, millionths of a dollar."""

    amount: int
    unit: Unit
    window: Window

    def __str__(self) -> str:
        return f"{shown(self.amount, self.unit)} {self.unit}/{self.window}"

    def began_ms(self, at_ms: int) -> int:
        """When the window that `at_ms` lies in began."""
        if self.window != "month":
            return at_ms - at_ms % _MS[self.window]
        first = _moment(at_ms).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        return int(first.timestamp()) * 1_000

    def ends_ms(self, at_ms: int) -> int:
        """When the window that `at_ms` lies in ends."""
        began = self.began_ms(at_ms)
        if self.window != "month":
            return began + _MS[self.window]
        return self.began_ms(began + 32 * _MS["day"])


def read_limit(text: str) -> Limit | None:
    """The limit that a text says; None when it says none."""
    found = _TEXT.fullmatch(text.strip())
    if found is None:
        return None
    whole, part, unit, window = found.groups()
    if part and unit != "usd":
        return None
    amount = int(whole)
    if unit == "usd":
        amount = amount * MICROS + int((part or ".")[1:].ljust(6, "0"))
    if amount > AMOUNT_MAX:
        return None
    return Limit(amount, unit, window)  # type: ignore[arg-type]  # the pattern has no others


def read_money(text: str) -> int | None:
    """Dollars as millionths of one, `2.5` as 2,500,000; None for what is no amount."""
    limit = read_limit(f"{text} usd/day")
    return limit.amount if limit is not None else None


def limits_of(value: object, limits_max: int) -> tuple[Limit, ...]:
    """The limits in a tone's body, as texts; what is malformed or beyond the bound is left out."""
    texts = value[:limits_max] if type(value) is list else []
    found = (read_limit(text) for text in texts if type(text) is str)
    return tuple(limit for limit in found if limit is not None)


def shown(amount: int, unit: Unit) -> str:
    """An amount for a person: money in dollars."""
    if unit != "usd":
        return str(amount)
    whole, part = divmod(amount, MICROS)
    return f"{whole}.{part:06d}".rstrip("0").rstrip(".")


def _moment(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms // 1_000, UTC)
