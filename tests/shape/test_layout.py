"""Where things are, and that what lists them agrees."""

import ast
import io
import os
import re
import tokenize

import pytest
from tests.shape.tree import ROOT, Source, files, packages, pyproject, read, sources

FRONT_DOOR_WORDS_MIN = 8
"""The least a package says of itself: what it is for."""
FOREIGN = {
    "another project's number": re.compile(r"\b[i]ssue #?\d+", re.IGNORECASE),
    "a folder outside the tree": re.compile(r"\.\./[s]hared"),
    "a path of one machine": re.compile(r"/[w]ork/|/[r]oot/|/home/[a-z]+/"),
    "how it was written": re.compile(r"\b(this|developer) [s]ession\b", re.IGNORECASE),
}
MACHINE_PATHS_MAY_STAND_IN = ("tests/", "services/humfs/")
"""Where such a path is an example of hostile input."""


def test_every_list_of_packages_names_the_folders_of_services() -> None:
    tools = pyproject()["tool"]
    hatch = tools["hatch"]["build"]["targets"]["wheel"]["packages"]
    forbidden = tools["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in forbidden if contract["type"] == "layers")

    lists = {
        "importlinter.root_packages": tools["importlinter"]["root_packages"],
        "importlinter layers": [name for layer in layers for name in layer.split(" | ")],
        "hatch packages": [path.removeprefix("services/") for path in hatch],
        "mypy packages": tools["mypy"]["packages"],
    }

    assert {name: sorted(listed) for name, listed in lists.items()} == dict.fromkeys(
        lists, packages()
    )


@pytest.mark.parametrize("package", packages())
def test_a_package_says_what_it_is_for(package: str) -> None:
    module = ast.parse((ROOT / "services" / package / "__init__.py").read_text("utf-8"))

    assert len((ast.get_docstring(module) or "").split()) >= FRONT_DOOR_WORDS_MIN


def test_every_script_can_be_started() -> None:
    scripts = [path for path in files() if path.parts[0] in {"scripts", ".ci"}]

    assert [path for path in scripts if not os.access(ROOT / path, os.X_OK)] == []
    assert [path for path in scripts if not read(path).startswith("#!/usr/bin/env ")] == []


def test_shell_scripts_stop_at_the_first_mistake() -> None:
    shell = [path for path in files() if read(path).startswith("#!/usr/bin/env bash")]

    assert shell
    assert [
        path for path in shell if not re.search(r"^set -e?uo pipefail$", read(path), re.M)
    ] == []


@pytest.mark.parametrize("what", FOREIGN)
def test_the_project_speaks_only_of_itself(what: str) -> None:
    hits = [str(path) for path in files() if FOREIGN[what].search(read(path))]
    if what == "a path of one machine":
        hits = [hit for hit in hits if not hit.startswith(MACHINE_PATHS_MAY_STAND_IN)]

    assert hits == []


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("another project's number", ["see issue", "12"]),
        ("a folder outside the tree", ["cat ..", "/shared/x"]),
        ("a path of one machine", ["/wo", "rk/main"]),
        ("how it was written", ["in this", "session"]),
    ],
)
def test_a_foreign_word_would_be_found(what: str, words: list[str]) -> None:
    glue = "" if "/" in "".join(words) else " "

    assert FOREIGN[what].search(glue.join(words))


def test_no_file_is_left_empty() -> None:
    empty = [path for path in files() if not read(path).strip() and path.name != ".keep"]

    assert [path for path in empty if (ROOT / path).stat().st_size == 0] == []


def unfinished(source: Source) -> list[str]:
    """Comments that announce work, and code that only says it is missing."""
    mark = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
    tokens = tokenize.generate_tokens(io.StringIO(source.text).readline)
    lines = [token.start[0] for token in tokens
             if token.type == tokenize.COMMENT and mark.search(token.string)]  # fmt: skip
    for node in source.nodes:
        if isinstance(node, ast.Raise) and node.exc is not None:
            raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            if source.dotted(raised) == "NotImplementedError":
                lines.append(node.lineno)
    return [f"{source.path}:{line}" for line in lines]


def test_unfinished_work_is_not_committed() -> None:
    every = sources("services", "tests", "scripts", "benchmarks")

    assert [place for source in every for place in unfinished(source)] == []


@pytest.mark.parametrize(
    ("text", "is_unfinished"),
    [
        ("x = 1  # TODO later", True),
        ("raise NotImplementedError", True),
        ("raise NotImplementedError('later')", True),
        ("x = 'grep TODO'", False),
    ],
)
def test_unfinished_work_would_be_found(text: str, is_unfinished: bool) -> None:
    assert bool(unfinished(Source.of("x.py", text))) is is_unfinished
