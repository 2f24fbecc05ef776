"""Which shell commands run, and which another tool serves (humfs 10.2)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.humfs.shell_lines import READ, RUN, WRITE

from humfs.core.languages.bash import LANGUAGE
from humfs.core.shell import advice
from humfs.core.shell.routing import READERS, SHELLS_DEPTH_MAX, WRITERS, Need, Routed, routed
from humfs.core.shell.scripts import Word, commands


def test_there_are_two_hundred_lines() -> None:
    assert len(READ) + len(WRITE) + len(RUN) >= 200
    assert len({*READ, *WRITE, *RUN}) == len(READ) + len(WRITE) + len(RUN)
    assert READERS - {"ripgrep"} <= set(READ.values())
    assert set(WRITE.values()) >= WRITERS


@pytest.mark.parametrize("script", READ)
def test_what_looks_into_files_is_for_humfs_read(script: str) -> None:
    """features E7, humfs E133."""
    found = routed(script)

    assert found is not None
    assert (found.need, found.banned) == (Need.READ, READ[script])
    assert "humfs_read" in advice.message(found)
    assert advice.hint(found)


@pytest.mark.parametrize("script", WRITE)
def test_what_changes_files_is_for_the_edit_tools(script: str) -> None:
    """features E7, humfs E133."""
    found = routed(script)

    assert found is not None
    assert (found.need, found.banned) == (Need.WRITE, WRITE[script])
    assert "humfs_do_code" in advice.message(found)
    assert "humfs_do_noncode" in advice.message(found)
    assert advice.hint(found)


@pytest.mark.parametrize("script", RUN)
def test_everything_else_runs(script: str) -> None:
    """features E7, humfs E133."""
    assert routed(script) is None


def test_shells_in_shells_are_looked_into_so_far_and_refused_beyond() -> None:
    def nested(depth: int, script: str) -> str:
        for _ in range(depth):
            script = "bash -c '" + script.replace("'", "'\\''") + "'"
        return script

    assert routed(nested(SHELLS_DEPTH_MAX, "make")) is None
    inside = routed(nested(SHELLS_DEPTH_MAX, "cat x"))
    too_deep = routed(nested(SHELLS_DEPTH_MAX + 1, "make"))

    assert inside is not None
    assert inside.banned == "cat"
    assert too_deep is not None
    assert too_deep.need is Need.DEPTH
    assert "deeply" in advice.message(too_deep)
    assert advice.hint(too_deep)


def test_brackets_without_end_are_no_trouble() -> None:
    assert routed("(" * 20_000 + "make" + ")" * 20_000) is None
    found = routed("(" * 20_000 + "cat x")
    assert found is not None
    assert found.banned == "cat"


@pytest.mark.parametrize(
    ("script", "call"),
    [
        ("ls src", '{"file_path":"src"}'),
        ("ls", '{"file_path":"."}'),
        ("find src -name '*.py'", '{"file_path":"src/**/*.py"}'),
        ("find -type f", '{"file_path":"./**/*"}'),
        ("cat src/a.py", '{"file_path":"src/a.py"}'),
        ("grep -rn 'a b' src", '{"file_path":"src","pattern":"a b"}'),
        ("rg foo", '{"file_path":".","pattern":"foo"}'),
        ("sed -n 1,5p f", '{"file_path":"f","pattern":"..."}'),
        ("echo a > f", '{"file_path":"f","replace":"..."}'),
        ("touch f", '{"file_path":"f","symbol":"NAME","replace":"..."}'),
        ("mv a b", "git mv"),
        ("rm a", "git rm"),
        ("chmod +x a", "--chmod=+x"),
    ],
)
def test_the_advice_names_the_call(script: str, call: str) -> None:
    found = routed(script)

    assert found is not None
    assert call in advice.hint(found)


def test_a_character_beyond_the_grammars_table_is_part_of_a_word() -> None:
    """The grammar's scanner reads past a table's end there, which may end the process."""
    astral = "{\U0001f600 \U0010ffff}" * 200

    assert routed(f"make '{astral}' {astral}") is None
    assert commands(f"echo 'é{astral}'")[0].words[1] == Word(f"é{astral}")
    assert LANGUAGE.outline(f"f() {{ echo {astral}; }}\n".encode()).symbols[0].name == "f"


@pytest.mark.parametrize("script", ["cat {}", "find {} -name a", "grep a {}", "tee {}", "x > {}"])
def test_a_long_word_is_not_said_back(script: str) -> None:
    found = routed(script.format("y" * 50_000))

    assert found is not None
    assert len(advice.message(found) + advice.hint(found)) < 1_000


@given(st.text())
def test_any_text_has_a_verdict(script: str) -> None:
    found = routed(script)

    assert found is None or isinstance(found, Routed)
    if found is not None:
        assert advice.message(found)
        assert advice.hint(found)


@given(
    st.lists(
        st.sampled_from(
            ["cat", "rm", "echo", "'", '"', "$(", ")", "|", "<<E", "\n", ">", "&", ";", "x", "{"]
        )
    )
)
def test_any_heap_of_shell_words_has_a_verdict(words: list[str]) -> None:
    found = routed(" ".join(words))

    assert found is None or found.banned
