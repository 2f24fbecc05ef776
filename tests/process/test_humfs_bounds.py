"""What the specification of humfs counts and lists, each as it says it."""

import os
from pathlib import Path

import pytest
from tests.support.humfs import Tools

from humfs.core import calls
from humfs.edge import roots, walks

pytestmark = pytest.mark.process


@pytest.mark.parametrize(
    ("bound", "specified"),
    [
        (calls.REMEMBERED_MAX, 256),  # humfs 1.6
        (roots.LINKS_MAX, 40),  # humfs 2.2 rule 2
        (walks.FILES_MAX, 50_000),  # humfs 5.4
    ],
)
def test_a_bound_is_the_one_that_is_specified(bound: int, specified: int) -> None:
    assert bound == specified


def test_thirty_folders_deep_is_searched_and_what_is_deeper_is_named(
    tools: Tools, root: Path
) -> None:
    """humfs 5.4."""
    deep = root.joinpath(*["d"] * 30)
    deep.mkdir(parents=True)
    (deep / "found.txt").write_text("")
    whole = tools.read(".").output
    (deep / "d").mkdir()
    (deep / "d/lost.txt").write_text("")

    cut = tools.read(".").output

    assert "found.txt" in whole
    assert "incomplete" not in whole
    assert "found.txt" in cut
    assert "lost.txt" not in cut
    assert "[incomplete: directories more than 30 deep are not searched" in cut


@pytest.mark.parametrize(
    "name",
    [
        "node_modules",
        "dist",
        "build",
        "target",
        "coverage",
        "venv",
        "__pycache__",
        ".git",
        ".svn",
        ".venv",
        ".cache",
        ".idea",
    ],
)
def test_a_folder_of_this_name_is_entered_only_when_it_is_asked_for(
    tools: Tools, root: Path, name: str
) -> None:
    """humfs 5.4."""
    (root / "a" / name).mkdir(parents=True)
    (root / "a" / name / "in.txt").write_text("word\n")

    assert "in.txt" not in tools.read(".").output
    assert "in.txt" not in tools.read(".", pattern="word").output
    assert "word" in tools.read(f"a/{name}", pattern="word").output


def test_attributes_of_a_file_survive_an_edit(tools: Tools, root: Path) -> None:
    """humfs 3.5."""
    (root / "a.txt").write_text("one\n")
    try:
        os.setxattr(root / "a.txt", "user.kept", b"yes")
    except (OSError, AttributeError):
        pytest.skip("this file system has no attributes of users")

    assert not tools.text("a.txt", word="one", replace="two").is_error

    assert os.getxattr(root / "a.txt", "user.kept") == b"yes"


def test_a_hint_is_said_and_stands_by_itself(tools: Tools) -> None:
    """humfs 1.4."""
    refused = tools.code("none.py", symbol="x", new_source="x = 1")

    assert refused.metadata["hint"] == 'Make it with "operation": "create".'
    assert refused.metadata["message"] == refused.output
    assert refused.output.endswith(f"\n{refused.metadata['hint']}")
