"""What goes and what stays when a log has a bound on the disk."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thehum.core.retention import (
    AWAY_MS_MAX,
    SKEW_MS_MAX,
    Bound,
    Clock,
    Kept,
    Mode,
    Needs,
    Verdict,
    hashes_gone,
    judge,
)

DAY_MS = 86_400_000
MIB = 1024 * 1024


def bound(mode: Mode = Mode.ROLLING, bytes_max: int = 100) -> Bound:
    return Bound(mode=mode, bytes_max=bytes_max, age_ms_max=30 * DAY_MS, segment_bytes=10)


def segments(*sizes: int) -> list[Kept]:
    """Segments of ten events each."""
    return [
        Kept(first_seq=10 * at + 1, last_seq=10 * at + 10, size=size)
        for at, size in enumerate(sizes)
    ]


def needs(*snapshots: int, **holds: int) -> Needs:
    made = Needs()
    for seq in snapshots:
        made.snapshot(seq)
    for name, seq in holds.items():
        made.hold(name, seq)
    return made


def verdict(
    kept: list[Kept],
    needed: Needs,
    *,
    limit: Bound | None = None,
    other: int = 0,
    hashes: int = 0,
    old_upto: int = 0,
) -> Verdict:
    return judge(
        kept,
        limit or bound(),
        needed,
        other_bytes=other,
        hash_bytes=hashes,
        is_old=lambda each: each.last_seq <= old_upto,
    )


def test_a_rolling_log_drops_as_many_segments_as_do_not_fit() -> None:
    kept = segments(40, 40, 40, 40)

    assert verdict(kept, needs(40)) == Verdict(2)
    assert verdict(kept, needs(40), other=60) == Verdict(3)
    assert verdict(segments(40, 40), needs(20)) == Verdict(0)


def test_it_drops_what_is_too_old_though_there_is_room() -> None:
    assert verdict(segments(1, 1, 1), needs(30), old_upto=20) == Verdict(2)


def test_an_archive_keeps_everything() -> None:
    archive = bound(Mode.ARCHIVE)

    assert verdict(segments(900, 900), needs(20), limit=archive, old_upto=20) == Verdict(0)


def test_a_light_log_keeps_what_is_behind_the_older_of_two_snapshots() -> None:
    light = bound(Mode.LIGHT)

    assert verdict(segments(1, 1, 1, 1), needs(25, 38), limit=light) == Verdict(2)
    assert verdict(segments(1, 1, 1, 1), needs(38), limit=light) == Verdict(0)
    assert verdict(segments(900), needs(), limit=light) == Verdict(0)


@pytest.mark.parametrize(
    ("needed", "count"),
    [
        (needs(), 0),
        (needs(9), 0),
        (needs(10), 1),
        (needs(40, dashboard=12), 1),
        (needs(40, dashboard=9, anchor=40), 0),
        (needs(5, 29), 2),
    ],
)
def test_nothing_goes_that_somebody_needs_and_the_bound_gives_way(
    needed: Needs, count: int
) -> None:
    assert verdict(segments(90, 90, 90, 90), needed) == Verdict(count, is_over=True)


def test_who_released_its_hold_needs_nothing() -> None:
    needed = needs(40, anchor=0)
    needed.release("anchor")
    needed.release("nobody")

    assert needed.floor_seq == 40


def test_hashes_of_events_that_are_kept_count_in_full_and_of_the_others_up_to_a_share() -> None:
    kept = segments(10, 10, 10, 10)

    assert verdict(kept, needs(40), hashes=60) == Verdict(0)
    # dropping one segment frees 10, and of its hashes those beyond a quarter of the bound
    assert verdict(kept, needs(40), hashes=64) == Verdict(1)
    assert verdict(kept, needs(40), hashes=200) == Verdict(3)


def test_hashes_go_beyond_a_quarter_of_the_bound_and_never_of_events_that_are_kept() -> None:
    limit = bound(bytes_max=4 * 320)

    assert hashes_gone(limit, gone_seq=10, bytes_each=32) == 0
    assert hashes_gone(limit, gone_seq=1_000, bytes_each=32) == 990
    assert hashes_gone(bound(Mode.ARCHIVE, 1), gone_seq=1_000, bytes_each=32) == 0


@given(
    st.lists(st.integers(0, 60), min_size=1, max_size=12),
    st.lists(st.integers(0, 130), max_size=4),
    st.lists(st.integers(0, 130), max_size=3),
    st.sampled_from(Mode),
    st.integers(0, 300),
    st.integers(0, 120),
)
def test_whatever_comes_the_rules_hold(
    sizes: list[int], snapshots: list[int], holds: list[int], mode: Mode, hashes: int, old: int
) -> None:
    kept, limit = segments(*sizes), bound(mode)
    needed = needs(*snapshots, **{str(at): seq for at, seq in enumerate(holds)})

    found = verdict(kept, needed, limit=limit, hashes=hashes, old_upto=old)

    gone, stay = kept[: found.count], kept[found.count :]
    floor = min([max(snapshots, default=0), *holds])
    assert all(each.last_seq <= floor for each in gone)
    if mode is Mode.ROLLING and stay and not found.is_over:
        assert sum(each.size for each in stay) <= limit.bytes_max
        assert stay[0].last_seq > old
    if found.is_over:
        assert stay[0].last_seq > floor


# --- the clock


def test_a_clock_that_is_set_while_we_run_makes_nothing_older() -> None:
    """`reliability F9`."""
    clock = Clock(wall_ms=1_000 * DAY_MS, steady_ms=0, newest_ms=1_000 * DAY_MS)

    ahead = clock.step(wall_ms=4_650 * DAY_MS, steady_ms=1_000)
    back = clock.step(wall_ms=5 * DAY_MS, steady_ms=3_000)
    right = clock.step(wall_ms=1_000 * DAY_MS + 4_500, steady_ms=4_000)

    assert (ahead, back, right) == (
        1_000 * DAY_MS + 1_000,
        1_000 * DAY_MS + 3_000,
        1_000 * DAY_MS + 4_500,
    )


def test_a_clock_that_drifts_is_followed() -> None:
    clock = Clock(wall_ms=0, steady_ms=0, newest_ms=0)

    assert clock.step(wall_ms=SKEW_MS_MAX, steady_ms=0) == SKEW_MS_MAX
    assert clock.step(wall_ms=2 * SKEW_MS_MAX, steady_ms=0) == 2 * SKEW_MS_MAX


def test_a_long_time_away_counts_only_in_part() -> None:
    assert Clock(wall_ms=900 * DAY_MS, steady_ms=0, newest_ms=DAY_MS).now_ms == (
        DAY_MS + AWAY_MS_MAX
    )
    assert Clock(wall_ms=900 * DAY_MS, steady_ms=0, newest_ms=0).now_ms == 900 * DAY_MS
