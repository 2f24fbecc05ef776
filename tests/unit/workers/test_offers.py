"""Which service answers for which model, and in which order."""

from hypothesis import given
from hypothesis import strategies as st

from workers.core.offers import COOLING_SECONDS, COOLING_SECONDS_MAX, Choice, Cooling, offers_of

NAMES = st.sampled_from("abcdef")


def test_the_first_service_keeps_a_name_that_two_have() -> None:
    offers = offers_of([("openai", ["a", "b"]), ("groq", ["b", "c"])])

    assert offers.choices_of("b") == (Choice(0, "b"),)
    assert offers.choices_of("groq/b") == (Choice(1, "b"),)
    assert offers.choices_of("c") == offers.choices_of("groq/c") == (Choice(1, "c"),)
    assert offers.names == ("a", "b", "groq/b", "c", "groq/c")


def test_an_alias_is_an_order_and_may_have_the_name_of_a_model() -> None:
    offers = offers_of([("openai", ["a", "b"])], [("a", ["a", "b"]), ("fast", ["b", "nobody"])])

    assert offers.choices_of("a") == (Choice(0, "a"), Choice(0, "b"))
    assert offers.choices_of("fast") == (Choice(0, "b"),)
    assert offers.unknown == (("fast", "nobody"),)


def test_an_alias_without_a_known_model_is_not_offered() -> None:
    assert "x" not in offers_of([("openai", ["a"])], [("x", ["nobody"])]).names


def test_without_a_name_the_first_model_answers_and_a_strange_one_goes_to_the_first_service() -> (
    None
):
    offers = offers_of([("openai", ["a"]), ("groq", ["b"])])

    assert offers.choices_of(None) == offers.choices_of("") == (Choice(0, "a"),)
    assert offers.choices_of("strange") == (Choice(0, "strange"),)


@given(
    st.lists(st.lists(NAMES, unique=True), min_size=1, max_size=3),
    st.dictionaries(NAMES, st.lists(NAMES, min_size=1, max_size=4), max_size=3),
)
def test_nobody_is_given_a_model_that_was_not_asked_for(
    models: list[list[str]], aliases: dict[str, list[str]]
) -> None:
    offers = offers_of(
        [(f"s{place}", names) for place, names in enumerate(models)], list(aliases.items())
    )

    for name, choices in offers.choices.items():
        allowed = [*aliases.get(name, ()), name.partition("/")[2] or name]
        assert {choice.model for choice in choices} <= set(allowed)
        assert all(choice.model in models[choice.service] for choice in choices)


def test_what_failed_is_asked_last_until_its_time_is_over_or_it_answers() -> None:
    first, second, third = (Choice(0, name) for name in "abc")
    cooling = Cooling()
    cooling.failed(first, 100.0, seconds=None)
    cooling.failed(second, 100.0, seconds=2.0)

    assert cooling.order([first, second, third], 101.0) == [third, second, first]
    assert cooling.order([first, second, third], 102.0) == [second, third, first]
    assert cooling.order([first, second], 100.0 + COOLING_SECONDS) == [first, second]
    cooling.answered(first)
    assert cooling.order([first, second], 101.0) == [first, second]


def test_only_a_service_that_named_a_time_is_left_alone_for_it() -> None:
    one, other = Choice(0, "a"), Choice(0, "b")
    cooling = Cooling()
    cooling.failed(one, 100.0, seconds=None)
    cooling.failed(other, 100.0, seconds=2.0)

    assert cooling.asked_seconds(one, 101.0) == 0
    assert cooling.asked_seconds(other, 101.0) == 1
    assert cooling.asked_seconds(other, 103.0) == 0
    cooling.failed(other, 100.0, seconds=1e9)
    assert cooling.asked_seconds(other, 100.0) == COOLING_SECONDS_MAX
