"""Which prompts keep hum's tools away."""

import pytest

from foragers.core.tools import ToolsOffered, kept_from
from thrum.tones import Body

NONE_OF_HUMS: Body = {"foragerTools": [], "provided": []}
OWN = [{"name": "Bash"}]


@pytest.mark.parametrize(
    ("offered", "tools", "said"),
    [
        ("auto", OWN, NONE_OF_HUMS),
        ("auto", [], {}),
        ("always", OWN, {}),
        ("never", [], NONE_OF_HUMS),
        ("never", OWN, NONE_OF_HUMS),
    ],
)
def test_a_prompt_says(offered: ToolsOffered, tools: list[Body], said: Body) -> None:
    assert kept_from({"content": "hi", "tools": tools}, offered) == said


def test_a_prompt_that_names_no_tools_is_offered_hums() -> None:
    assert kept_from({"content": "hi"}, "auto") == {}
