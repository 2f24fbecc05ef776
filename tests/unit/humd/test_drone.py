"""The verdict on a conversation, from ledgers."""

from dataclasses import replace
from typing import Any

import pytest

from humd.core.drone import (
    MISSED_MAX,
    PENDING_MAX,
    RETRIES_MAX,
    RHYTHM_MS,
    TEXT_CHARS_MAX,
    Health,
    Ledger,
    Pending,
    Suspicion,
    Verdict,
    assess,
    flags_nothing,
)
from humd.core.phrases import classify

NOW = 1_000_000


def pending(age_ms: int, retries: int = 0) -> dict[str, Pending]:
    return {"r": Pending("prompt", NOW - age_ms, retries)}


VERDICTS: list[tuple[dict[str, Any], Health, Verdict]] = [
    ({}, Health.SERENE, Verdict.OK),
    ({"inflight": 1}, Health.ALERT, Verdict.OK),
    ({"tokens": 1}, Health.ALERT, Verdict.OK),
    ({"inflight": 3}, Health.ALERT, Verdict.OK),
    ({"inflight": 4}, Health.TENSE, Verdict.OK),
    ({"permissions": 1}, Health.TENSE, Verdict.OK),
    ({"pending": pending(1)}, Health.TENSE, Verdict.OK),
    ({"pending": pending(2_000)}, Health.TENSE, Verdict.OK),
    ({"pending": pending(2_001)}, Health.TENSE, Verdict.RETRY),
    ({"pending": pending(2_001, RETRIES_MAX)}, Health.TENSE, Verdict.OK),
    ({"pending": pending(60_001)}, Health.CRITICAL, Verdict.RETRY),
    ({"pending": pending(2_001), "rhythm_ms": 1_000}, Health.CRITICAL, Verdict.RETRY),
    ({"missed": MISSED_MAX - 1}, Health.SERENE, Verdict.OK),
    ({"missed": MISSED_MAX}, Health.CRITICAL, Verdict.DEAD),
    ({"missed": MISSED_MAX, "local_wane": 1, "beat_ms": 1}, Health.CRITICAL, Verdict.DEAD),
    ({"local_wane": 1}, Health.SERENE, Verdict.OK),
    ({"local_wane": 1, "beat_ms": 1}, Health.CRITICAL, Verdict.DRIFT),
    ({"local_wane": 1, "beat_ms": 1, "pending": pending(9_999)}, Health.CRITICAL, Verdict.DRIFT),
    ({"suspicion": Suspicion.CRITICAL}, Health.SERENE, Verdict.SWALLOW),
    ({"suspicion": Suspicion.CRITICAL, "pending": pending(2_001)}, Health.TENSE, Verdict.SWALLOW),
    ({"suspicion": Suspicion.CRITICAL, "missed": 3}, Health.CRITICAL, Verdict.DEAD),
    ({"suspicion": Suspicion.HEAVY}, Health.SERENE, Verdict.OK),
]


@pytest.mark.parametrize(("fields", "health", "verdict"), VERDICTS)
def test_the_verdict_follows_from_the_ledger(
    fields: dict[str, Any], health: Health, verdict: Verdict
) -> None:
    """Features A17."""
    found = assess(Ledger("sigil", **fields), NOW)

    assert (found.health, found.verdict) == (health, verdict)
    assert found.rhythm_ms == RHYTHM_MS[health]
    assert found.body()["unified"] == verdict
    assert found.raw["pending_echoes"] == list(fields.get("pending", {}))
    assert bool(found.reason) is (verdict is not Verdict.OK)


@pytest.mark.parametrize("tier", [Suspicion.SOFT, Suspicion.HEAVY])
@pytest.mark.parametrize(("score", "verdict"), [(0.69, Verdict.OK), (0.7, Verdict.SWALLOW)])
def test_milder_suspicion_needs_an_evaluator(
    tier: Suspicion, score: float, verdict: Verdict
) -> None:
    ledger = Ledger("sigil", suspicion=tier, text="the text")

    assert assess(ledger, NOW, lambda text: score * (text == "the text")).verdict is verdict


def test_an_assessment_changes_nothing() -> None:
    ledger = Ledger("sigil", pending=pending(9_999), missed=2)
    before = replace(ledger, pending=dict(ledger.pending))

    assess(ledger, NOW)

    assert ledger == before


def test_a_beat_clears_what_was_missed_and_an_echo_what_was_awaited() -> None:
    ledger = Ledger("sigil")
    ledger.sent("prompt", "r", 1)
    ledger.sent("chunk", "c", 1)
    ledger.missed_beat()
    assert (ledger.missed, ledger.pending) == (1, {"r": Pending("prompt", 1, 1)})

    ledger.beat(5, wane=7)
    ledger.echoed("r")
    ledger.echoed("never sent")

    assert (ledger.missed, ledger.beat_ms, ledger.remote_wane) == (0, 5, 7)
    assert ledger.pending == {}


def test_counts_do_not_go_below_nothing() -> None:
    ledger = Ledger("sigil")

    ledger.tool(-1)
    ledger.permission(-1)

    assert (ledger.inflight, ledger.permissions) == (0, 0)


def test_a_dead_cell_leaves_nothing_behind() -> None:
    ledger = Ledger("sigil", inflight=3, text="some", suspicion=Suspicion.HEAVY)

    ledger.died()

    assert (ledger.inflight, ledger.text, ledger.suspicion) == (0, "", Suspicion.NONE)


def test_the_text_is_bounded_judged_once_and_gone_with_the_next_turn() -> None:
    ledger = Ledger("sigil")
    ledger.said("There is no previous context available to me. ")
    for _ in range(3):
        ledger.said("x" * TEXT_CHARS_MAX)
    assert len(ledger.text) == TEXT_CHARS_MAX

    ledger.ended(classify)
    assert ledger.suspicion is Suspicion.CRITICAL

    ledger.began()
    assert (ledger.text, ledger.suspicion) == ("", Suspicion.NONE)


def test_a_short_text_is_not_judged() -> None:
    ledger = Ledger("sigil", text="I'm an AI assistant.")

    ledger.ended(classify)

    assert ledger.suspicion is Suspicion.NONE


def test_the_echoes_awaited_are_bounded() -> None:
    ledger = Ledger("sigil")

    for number in range(PENDING_MAX + 5):
        ledger.sent("cancel", f"r{number}", number)

    assert list(ledger.pending) == [f"r{number}" for number in range(5, PENDING_MAX + 5)]


@pytest.mark.parametrize(
    ("text", "tier"),
    [
        ("There is no previous context available to me.", Suspicion.CRITICAL),
        ("This appears to be the start of our conversation.", Suspicion.CRITICAL),
        ("I cannot see any previous messages here.", Suspicion.CRITICAL),
        ("I'm an AI assistant, nice to meet you.", Suspicion.HEAVY),
        ("My instructions say that I must not do that.", Suspicion.HEAVY),
        ("I apologize, but I don't have access to that file.", Suspicion.HEAVY),
        ("Hello! How can I help you today?", Suspicion.HEAVY),
        ("I'll check the build logs first.", Suspicion.SOFT),
        ("What are you referring to?", Suspicion.SOFT),
        ("Before I proceed, could you confirm the scope?", Suspicion.SOFT),
        ("Fixed the parser and the suite is green.", Suspicion.NONE),
        ("The previous conversation handler is now covered by a test.", Suspicion.NONE),
        ("", Suspicion.NONE),
    ],
)
def test_phrases_give_a_model_away_that_lost_its_context(text: str, tier: Suspicion) -> None:
    assert classify(text) is tier
    assert classify(text.upper()) is tier
    assert flags_nothing(text) is Suspicion.NONE
