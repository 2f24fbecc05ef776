"""Settings of single models: what is asked when the asker does not say."""

from typing import Any

import pytest

from workers.core.defaults import Defaults, with_defaults

RULES = (
    Defaults("big-*", {"temperature": 0.2, "num_ctx": 4_096}, answer_tokens_max=100),
    Defaults("*", {"temperature": 0.9}),
)


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ({"model": "big-1"}, {"temperature": 0.2, "num_ctx": 4_096, "max_tokens": 100}),
        (
            {"model": "big-1", "temperature": 0, "max_tokens": 7},
            {"temperature": 0, "num_ctx": 4_096, "max_tokens": 7},
        ),
        (
            {"model": "big-1", "max_tokens": 700, "num_ctx": 9},
            {"temperature": 0.2, "num_ctx": 9, "max_tokens": 100},
        ),
        ({"model": "small"}, {"temperature": 0.9}),
    ],
)
def test_the_first_rule_that_fits_counts_and_the_askers_word_stands(
    asked: dict[str, Any], sent: dict[str, Any]
) -> None:
    before = dict(asked)

    assert with_defaults(asked, RULES) == {"model": asked["model"], **sent}
    assert asked == before
