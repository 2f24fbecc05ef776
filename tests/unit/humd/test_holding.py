"""Whether the log holds back what it is offered, and what humd says of it."""

from pathlib import PurePath

from humd.core.holding import AWAY_SECONDS, SILENT_SECONDS, Signs, State

FOLDER = PurePath("/state/thehum")


def signs(now: float = 100.0) -> Signs:
    """Of a log that is here, replayed and was heard just now."""
    made = Signs(FOLDER, away_since=None, booted=True)
    made.heard(now, owes=False)
    return made


def test_a_log_that_answers_holds_nothing_back() -> None:
    holding = signs().holding(1_000.0)

    assert (holding.state, holding.since, holding.sentence) == (State.OK, None, "")


def test_one_that_is_not_connected_is_away_whatever_else_was_known() -> None:
    found = signs()
    found.refused(100.0, "no room")
    found.read_only = ("damaged", "repair")
    found.away_since = 103.0

    holding = found.holding(104.0)

    assert (holding.state, holding.since) == (State.AWAY, 103.0)
    assert "hum logs thehum" in holding.sentence


def test_one_that_is_only_read_says_why_and_what_mends_it() -> None:
    found = signs()
    found.read_only, found.began_at = ("event 7 is damaged", "hum thehum repair"), 99.0

    holding = found.holding(100.0)

    assert (holding.state, holding.since) == (State.READ_ONLY, 99.0)
    assert holding.sentence == (
        "the log is read-only: event 7 is damaged (mend: hum thehum repair)"
    )
    assert not found.takes_work(100.0)


def test_one_that_owes_an_answer_is_silent_only_after_a_while() -> None:
    found = signs(100.0)
    found.asked(101.0)
    found.asked(102.0)

    just_before, after = found.holding(102.9), found.holding(101.0 + SILENT_SECONDS)

    assert just_before.state is State.OK
    assert (after.state, after.since) == (State.SILENT, 101.0)
    assert "hum ctl restart thehum" in after.mend


def test_each_sign_of_life_gives_it_time_again() -> None:
    found = signs(100.0)
    found.asked(101.0)
    found.heard(102.5, owes=True)

    assert found.holding(104.0).state is State.OK
    assert found.holding(102.5 + SILENT_SECONDS).state is State.SILENT

    found.heard(110.0, owes=False)

    assert found.holding(1_000.0).state is State.OK


def test_a_start_says_how_far_it_has_read() -> None:
    found = Signs(FOLDER, away_since=None, began_at=50.0, next_seq=120, head_seq=400)

    holding = found.holding(51.0)

    assert (holding.state, holding.since) == (State.REPLAYING, 50.0)
    assert "event 120 of 400" in holding.why


def test_a_start_that_stands_still_is_the_silence_of_the_log() -> None:
    found = Signs(FOLDER, away_since=None, began_at=50.0, head_seq=400)
    found.asked(51.0)

    assert found.holding(51.0 + SILENT_SECONDS).state is State.SILENT


def test_a_full_disk_is_told_with_the_place_since_the_first_refusal() -> None:
    found = signs()

    is_new = [found.refused(at, "no room on the disk of the log") for at in (100.0, 101.0)]
    holding = found.holding(101.5)

    assert is_new == [True, False]
    assert (holding.state, holding.since) == (State.FULL, 100.0)
    assert "no room" in holding.why
    assert "df -h /state/thehum" in holding.mend


def test_work_is_refused_once_it_has_been_away_or_full_for_a_while() -> None:
    away, full = Signs(FOLDER, away_since=100.0), signs()
    full.refused(100.0, "no room")

    for found in (away, full):
        assert found.takes_work(99.9 + AWAY_SECONDS)
        assert not found.takes_work(100.0 + AWAY_SECONDS)
