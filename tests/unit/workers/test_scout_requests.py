"""What scout takes a question to mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.core.scout.requests import TARGETS_MAX, Aim, read_request

QUESTIONS = [
    ("say hi", Aim.GREET, (), ()),
    ("Hello!", Aim.GREET, (), ()),
    ("thanks", Aim.GREET, (), ()),
    ("what can you do?", Aim.HELP, (), ()),
    ("who are you?", Aim.HELP, (), ()),
    ("Write me a poem", Aim.UNCLEAR, (), ()),
    ("", Aim.UNCLEAR, (), ()),
    ("ls", Aim.LIST, (".",), ()),
    ("list services", Aim.LIST, ("services",), ()),
    ("list the files in services/nest", Aim.LIST, ("services/nest",), ()),
    ("what files are there?", Aim.LIST, (".",), ()),
    ("what is in README.md?", Aim.READ, ("README.md",), ()),
    ("show me README", Aim.READ, ("README",), ()),
    ("cat docs/wire.md", Aim.READ, ("docs/wire.md",), ()),
    ("open ./services/hum", Aim.READ, ("services/hum",), ()),
    ("read /etc/hosts", Aim.READ, ("/etc/hosts",), ()),
    ("read README.md and pyproject.toml", Aim.READ, ("README.md", "pyproject.toml"), ()),
    ("what does services/thrum define?", Aim.OUTLINE, ("services/thrum",), ()),
    ("outline of services/nest/bee.py", Aim.OUTLINE, ("services/nest/bee.py",), ()),
    ("what functions are in lines.py?", Aim.OUTLINE, ("lines.py",), ()),
    ("list all classes in services/nest", Aim.OUTLINE, ("services/nest",), ()),
    ("explain services/nest/link.py", Aim.EXPLAIN, ("services/nest/link.py",), ()),
    ("summarize docs/wire.md.", Aim.EXPLAIN, ("docs/wire.md",), ()),
    ("what does humd do?", Aim.EXPLAIN, ("humd",), ()),
    ("services/nest", Aim.EXPLAIN, ("services/nest",), ()),
    ("explain Bee", Aim.EXPLAIN, (), ("Bee",)),
    ("what is Link.offer?", Aim.EXPLAIN, (), ("Link.offer",)),
    ("What does `dumps` do?", Aim.EXPLAIN, (), ("dumps",)),
    ("read_frame", Aim.EXPLAIN, (), ("read_frame",)),
    ("where is Bee defined?", Aim.FIND, (), ("Bee",)),
    ("where is dumps defined", Aim.FIND, (), ("dumps",)),
    ("find class Bee", Aim.FIND, (), ("Bee",)),
    ("which file defines Tone?", Aim.FIND, (), ("Tone",)),
    ("find the file bee.py", Aim.FIND, ("bee.py",), ()),
    ("where is Bee in services", Aim.FIND, ("services",), ("Bee",)),
    (
        "show function read_frame in services/thrum/frames.py",
        *(Aim.SHOW, ("services/thrum/frames.py",), ("read_frame",)),
    ),
    ("show me the code of Link", Aim.SHOW, (), ("Link",)),
    ("source of function foo", Aim.SHOW, (), ("foo",)),
    ("print the weather", Aim.UNCLEAR, (), ()),
    ("grep TODO", Aim.SEARCH, (), ("TODO",)),
    ('search for "two words" in services', Aim.SEARCH, ("services",), ("two words",)),
    ("search for lost events", Aim.SEARCH, (), ("lost events",)),
    ("who uses read_frame?", Aim.SEARCH, (), ("read_frame",)),
    ("where is read_frame used?", Aim.SEARCH, (), ("read_frame",)),
]


@pytest.mark.parametrize(("question", "aim", "paths", "symbols"), QUESTIONS)
def test_questions_mean_what_they_say(
    question: str, aim: Aim, paths: tuple[str, ...], symbols: tuple[str, ...]
) -> None:
    request = read_request(question)

    assert (request.aim, request.paths, request.symbols) == (aim, paths, symbols)


def test_what_clients_put_around_a_question_is_left_out() -> None:
    text = "<context>list nothing in /etc/x</context>\nwhat is in README.md?"

    assert read_request(text).paths == ("README.md",)


def test_of_a_long_text_the_last_paragraph_is_the_question() -> None:
    assert read_request("see a.py " * 500 + "\n\nwhat is in README.md?").paths == ("README.md",)


def test_targets_are_bounded() -> None:
    question = "read " + " ".join(f"f{number}.py" for number in range(9))

    assert len(read_request(question).paths) == TARGETS_MAX


@given(st.text(max_size=300))
def test_every_text_means_something(text: str) -> None:
    request = read_request(text)

    assert request.aim in Aim
