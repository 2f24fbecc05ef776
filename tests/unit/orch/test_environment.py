"""Which variables reach a service."""

import pytest

from orch.core.environment import allowed, expand, read_env_file


def test_only_the_allow_list_and_what_is_asked_for_is_passed_on() -> None:
    passed = [
        "PATH",
        "HOME",
        "LANG",
        "LC_ALL",
        "TZ",
        "TMPDIR",
        "XDG_STATE_HOME",
        "HUM_X",
        "OPENAI_API_KEY",
    ]
    environ = dict.fromkeys([*passed, "SECRET", "LD_PRELOAD", "PYTHONPATH"], "v")

    found = allowed(environ, ["OPENAI_API_KEY", "ABSENT"])

    assert sorted(environ.keys() - found.keys()) == ["LD_PRELOAD", "PYTHONPATH", "SECRET"]
    assert "ABSENT" not in found


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("${HOME}/x", "/h/x"),
        ("${NOPE}", "${NOPE}"),
        ("${NOPE:-d e}", "d e"),
        ("${EMPTY:-d}", "d"),
        ("${HOME:-d}", "/h"),
        ("$HOME `x` $(y)", "$HOME `x` $(y)"),
        ("${NEST}", "${HOME}"),
    ],
)
def test_variables_are_expanded_without_a_shell(text: str, wanted: str) -> None:
    assert expand(text, {"HOME": "/h", "EMPTY": "", "NEST": "${HOME}"}) == wanted


def test_an_env_file_is_key_value_lines() -> None:
    assert read_env_file("# c\n\nA=1=2\n B= x \n") == {"A": "1=2", "B": " x"}


def test_a_line_of_an_env_file_that_is_neither_is_named() -> None:
    with pytest.raises(ValueError, match="line 2"):
        read_env_file("A=1\nexport B=2")
