"""Documents: links lead somewhere, pages are found, and what exists is documented."""

import dataclasses
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import click
import orjson
import pytest
from tests.shape.tree import ROOT, files, pyproject, read, sources

from hum.commands import hum, humctl
from nest.settings import Settings, json_schema

LINE_CHARS_MAX = 140
"""Longest line of prose; rows of tables may be longer."""
OPERATING = PurePosixPath("docs/operating.md")
VOCABULARY = PurePosixPath("docs/vocabulary.md")
DEPENDENCIES = PurePosixPath("docs/decisions/0001-dependencies.md")
DOMAIN_WORDS = 16


def pages() -> list[PurePosixPath]:
    return [path for path in files() if path.suffix == ".md"]


def links(page: PurePosixPath, text: str) -> Iterator[tuple[str, str]]:
    """File and heading of every relative link; the file is empty for one within the page."""
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if not re.match(r"[a-z]+:", target):
            file, _, heading = target.partition("#")
            yield (_join(page.parent, file) if file else str(page)), heading


def _join(folder: PurePosixPath, target: str) -> str:
    parts: list[str] = []
    for part in (folder / target).parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each).strip().lower().replace(" ", "-") for each in headings}


def broken_links(page: PurePosixPath, text: str) -> list[str]:
    broken = []
    for target, heading in links(page, text):
        there = (ROOT / target).exists()
        if not there or (heading and heading not in anchors(read(PurePosixPath(target)))):
            broken.append(f"{page}: {target}#{heading}")
    return broken


@pytest.mark.parametrize("page", pages(), ids=str)
def test_every_link_leads_somewhere(page: PurePosixPath) -> None:
    assert broken_links(page, read(page)) == []


@pytest.mark.parametrize("link", ["no.md", "../no.md", "wire.md#no-such-heading"])
def test_a_broken_link_would_be_found(link: str) -> None:
    assert broken_links(PurePosixPath("docs/x.md"), f"see [it]({link})")


def test_every_page_is_reached_from_the_readme() -> None:
    found = {"README.md"}
    fresh = ["README.md"]
    while fresh:
        page = PurePosixPath(fresh.pop())
        for target, _ in links(page, read(page)):
            place = f"{target}/README.md" if (ROOT / target).is_dir() else target
            if place not in found:
                found.add(place)
                fresh.append(place)

    lost = [str(page) for page in pages() if page.parts[0] == "docs" and str(page) not in found]

    assert lost == []


@pytest.mark.parametrize("page", pages(), ids=str)
def test_prose_has_short_lines(page: PurePosixPath) -> None:
    lines = enumerate(read(page).splitlines(), start=1)
    long = [at for at, line in lines if len(line) > LINE_CHARS_MAX and not line.startswith("|")]

    assert long == []


def settings_keys(schema: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Every key of hum.json that holds a value, such as `fs.roots[].path`."""
    for name, value in schema["properties"].items():
        key = prefix + name
        items = value.get("items", {})
        if "properties" in value:
            yield from settings_keys(value, f"{key}.")
        elif "properties" in items:
            yield from settings_keys(items, f"{key}[].")
        else:
            yield key


def settings_rows() -> dict[str, str]:
    """The row of each key in the table of settings."""
    text = read(OPERATING).partition("## Settings")[2].partition("\n## ")[0]
    return {match[1]: match[0] for match in re.finditer(r"^\| `([^`]+)` \|.*$", text, re.MULTILINE)}


def test_every_setting_is_documented() -> None:
    assert set(settings_rows()) == set(settings_keys(json_schema()))


def defaults(section: object, prefix: str = "") -> Iterator[tuple[str, str, object]]:
    """Key, name in Python and default of every setting."""
    assert dataclasses.is_dataclass(section)
    for field in dataclasses.fields(section):
        words = field.name.split("_")
        name = field.metadata.get("json", words[0] + "".join(map(str.title, words[1:])))
        value = getattr(section, field.name)
        if dataclasses.is_dataclass(value):
            yield from defaults(value, f"{prefix}{name}.")
        else:
            yield prefix + name, field.name, value


def in_json(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def test_the_documented_default_is_the_default() -> None:
    rows = settings_rows()
    wrong = [
        f"{key}: {each}"
        for key, _, value in defaults(Settings())
        if key in rows
        for each in (value if isinstance(value, tuple) else (value,))
        if each is not None and f"`{in_json(each)}`" not in rows[key]
    ]

    assert wrong == []


def test_reserved_settings_are_those_that_nothing_reads() -> None:
    read_names = {
        getattr(node, "attr", "")
        for source in sources("services")
        if not source.path.is_relative_to("services/nest/settings")
        for node in source.nodes
    }
    rows = settings_rows()
    known = [
        (key, name) for key, name, _ in defaults(Settings()) if key in rows and key != "$schema"
    ]

    assert {key for key, name in known if name not in read_names} == {
        key for key, row in rows.items() if "reserved" in row
    }


def verbs(group: click.Group, prefix: str) -> Iterator[str]:
    """Every command below `group`, as it is typed."""
    context = click.Context(group)
    for name in group.list_commands(context):
        yield f"{prefix} {name}"
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from verbs(command, f"{prefix} {name}")


def test_every_command_is_documented() -> None:
    documented = set(re.findall(r"^\| `(hum(?:ctl)? [a-z -]+)` \|", read(OPERATING), re.MULTILINE))
    below_hum = set(verbs(hum, "hum"))
    of_humctl = {f"humctl {name}" for name in humctl.list_commands(click.Context(humctl))}

    assert documented == below_hum | of_humctl


def test_every_chi_is_documented_as_the_registry_has_it() -> None:
    registry = orjson.loads(read(PurePosixPath("services/thrum/registry.json")))
    rows = [
        f"| `{row['chi']}` | {row['direction']} | {row['meaning']} |" for row in registry["chi"]
    ]
    rows += [f"| `{row['chi']}` | {row['meaning']} |" for row in registry["link"]]
    page = read(VOCABULARY)

    assert [row for row in rows if row not in page] == []
    assert len(re.findall(r"^\| `", page, re.MULTILINE)) == len(rows)


def test_there_are_sixteen_words() -> None:
    table = read(VOCABULARY).partition("## The sixteen")[2].partition("\nFive proper")[0]

    assert len(re.findall(r"^\| \w+ \| ", table, re.MULTILINE)) == DOMAIN_WORDS + 1  # and the head


def test_every_dependency_has_a_sentence() -> None:
    project = pyproject()["project"]
    required = project["dependencies"] + project["optional-dependencies"]["dev"]
    names = [re.split(r"[<>=\[ ]", requirement)[0] for requirement in required]
    page = read(DEPENDENCIES).lower()
    said = {"openai": "the openai client"}

    assert [name for name in names if said.get(name, name) not in page] == []


def test_every_decision_is_listed() -> None:
    listed = read(PurePosixPath("docs/decisions/README.md"))
    pages_of_decisions = [path for path in files() if re.match(r"docs/decisions/\d", str(path))]

    assert [path.name for path in pages_of_decisions if path.name not in listed] == []
