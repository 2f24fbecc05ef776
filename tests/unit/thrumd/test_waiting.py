"""What waits for slow readers, over all of them."""

from thrumd.core.waiting import FALLEN_BYTES_MIN, WAITING_BYTES_MAX, Waiting, worst


def test_too_much_is_more_than_the_bound() -> None:
    waiting = Waiting()
    seen = []

    for more in (WAITING_BYTES_MAX, 1, -1):
        waiting.move(more)
        seen.append(waiting.is_over)

    assert seen == [False, True, False]


def test_a_fall_is_told_once_and_from_the_highest_moment() -> None:
    waiting = Waiting()

    waiting.move(2 * FALLEN_BYTES_MIN)
    assert not waiting.has_fallen()
    waiting.move(-FALLEN_BYTES_MIN + 1)
    assert not waiting.has_fallen()
    waiting.move(-1)
    assert waiting.has_fallen()
    assert not waiting.has_fallen()
    waiting.move(-FALLEN_BYTES_MIN)
    assert waiting.has_fallen()


def test_those_with_most_are_cut_until_half_is_left_and_no_more_of_them() -> None:
    half = WAITING_BYTES_MAX // 2
    owed = {"little": 10, "most": half, "much": half - 10, "none": 0}

    assert list(worst(owed)) == ["most"]
    assert list(worst({**owed, "little": 11})) == ["most", "much"]
    assert list(worst({"little": 10, "none": 0})) == []
