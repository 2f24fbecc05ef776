"""No word of the hive but those of the vocabulary (features A27).

The project has sixteen words of its own. A coinage is a word out of the same world, of bees, plants
and their keepers, that `docs/vocabulary.md` does not have: in a name of the code, a command, a
setting or a chi. The older mechanical words are none of ours either; the page says what to say
instead.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

import click
import pytest
from tests.shape.tree import Source, files, read, sources

from hum.commands import hum, humctl
from hum.words import OLDER, WORDS
from nest.settings import json_schema
from thrum.chi import Chi

VOCABULARY = PurePosixPath("docs/vocabulary.md")
LORE = frozenset(
    re.findall(
        r"\w+",
        """
    apiary beehive beekeeper beeline beeswax brood burr buzz caste cluster colony comb drone egg
    forage forager hive honey honeycomb honeydew keeper larva mead mite nectar nest nestle nestler
    nestled pollen pollinate propolis pupa queen sap skep smoker stinger superorganism swarm waggle
    wax worker
    bloom blossom bough bramble bud bulb burrow calyx canopy cone dew dusk dawn feather fern fledge
    fledgling flock flower fruit germinate graft grove harvest husk ivy leaflet moss nib orchard
    perch petal pistil plume prune ripe roost rhizome seedling sepal shoot spore sprig sprout
    stamen stem tendril thicket thorn trellis tuber twig vine wane wax wilt wing wither
    emerged mmm penny sigil tone drift rune glyph totem talisman aura
    """,
    )
)
"""Words of that world, ours among them. What is plain technical language here, as `tree`, `root`,
`branch`, `leaf`, `seed`, `cell`, `mark`, `feed`, `raise`, `bounds`, `still` and `tend`, is not."""
PLAIN: dict[str, str] = {
    "cluster": "computing",
    "keeper": "of a role or a lock, and a service to come",
    "stem": "of a file name, and of a word",
    "stems": "the same",
    "withers": "a counter that the original system has (`droneWithers`)",
    "prune": "of a tree that is searched",
}
"""Words of it with a meaning in computing that is the one meant."""


def own_words() -> set[str]:
    """The sixteen and their plurals, the names of every chi, and the proper names."""
    ours = {word for word, *_ in WORDS} | {part for chi in Chi for part in chi.split("-")}
    ours |= {"hum", "thrum", "humd", "thehum", "ensemble"}
    return ours | {f"{word}s" for word in ours}


def coinages(names: Iterator[str]) -> set[str]:
    """Words in these names that are out of that world and not ours."""
    found = set()
    for name in names:
        parts = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)
        found |= {part.lower() for part in parts}
    older = {word.strip() for words, _ in OLDER for word in words.split(",")}
    foreign = LORE | {f"{word}s" for word in LORE} | (older & LORE)
    return (found & foreign) - own_words() - PLAIN.keys()


def names_in(source: Source) -> Iterator[str]:
    """What a file gives names to: classes, functions, arguments, variables, its own name."""
    yield from source.path.parts
    for node in source.nodes:
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                yield name
            case ast.AsyncFunctionDef(name=name) | ast.arg(arg=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name
            case _:
                pass


@pytest.mark.parametrize("source", sources("services", "clients"), ids=lambda one: str(one.path))
def test_no_name_in_the_code_is_a_coinage(source: Source) -> None:
    assert coinages(names_in(source)) == set()


def test_no_command_setting_or_orchfile_is_one() -> None:
    commands = (
        name for group in (hum, humctl) for name in group.list_commands(click.Context(group))
    )
    settings = re.findall(r'"(\w+)"', str(json_schema()).replace("'", '"'))
    hives = (path.stem for path in files() if path.suffix == ".orch")

    assert coinages(iter([*commands, *settings, *hives])) == set()


def test_every_heading_of_the_documents_is_plain_too() -> None:
    headings = [
        line
        for path in files()
        if path.suffix == ".md" and path != VOCABULARY
        for line in read(path).splitlines()
        if line.startswith("#")
    ]

    assert len(headings) > 50
    assert coinages(iter(headings)) == set()


@pytest.mark.parametrize(
    "text",
    [
        "def feed_larva(): ...",
        "class QueenBee: ...",
        "swarm = 1",
        "self.pollen = 2",
        "def f(egg): ...",
    ],
)
def test_a_coinage_would_be_found(text: str) -> None:
    assert coinages(names_in(Source.of("services/x.py", text))) != set()


def test_our_own_words_are_none() -> None:
    text = "class Worker: ...\ndef bees_of(nest, tone): ...\ndrift_ms = sigil = 1"

    assert coinages(names_in(Source.of("services/humd/x.py", text))) == set()
