"""`hum help words` and the page on vocabulary say the same (features A27)."""

import re
from pathlib import Path

import orjson
import pytest

from hum import commands
from hum.__main__ import run
from hum.words import OLDER, WORDS

PAGE = (Path(__file__).parents[3] / "docs" / "vocabulary.md").read_text()


def rows(title: str) -> list[tuple[str, ...]]:
    """The rows of the table below a heading, without marks."""
    section = PAGE.partition(f"\n## {title}")[2].partition("\n## ")[0]
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", section).replace("`", "")
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines[1:]]


def test_the_words_are_those_of_the_page() -> None:
    assert rows("The sixteen") == list(WORDS)
    assert rows("Mechanical words") == list(OLDER)


def test_every_word_has_a_plain_one_beside_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(commands.hum, ["help", "words"]) == 0

    lines = capsys.readouterr().out.splitlines()
    for word, plain, *_ in (*WORDS, *OLDER):
        assert any(line.startswith(f"{word} ") and plain in line for line in lines), word


def test_for_programs_it_is_one_object_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(commands.hum, ["help", "words", "--json"]) == 0

    told = [orjson.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["word"] for one in told] == [words[0] for words in (*WORDS, *OLDER)]


def test_without_a_topic_it_is_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(commands.hum, ["help"]) == 0
    assert "Commands:" in capsys.readouterr().out
    assert run(commands.hum, ["help", "--json"]) == 0
    assert "Commands:" in orjson.loads(capsys.readouterr().out)["help"]
    assert run(commands.hum, ["help", "nonsense"]) == 2
