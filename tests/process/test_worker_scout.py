"""scout in the real stack, looking at real files through humfs."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.support.ndjson import Client, Flat
from tests.support.stack import CORE, QUIET_SETTINGS, Stack

pytestmark = pytest.mark.process

FILES = {
    "README.md": "# Bakery\n\nBakes bread.\n\n## Setup\n\nLight the fire.\n",
    "src/oven.py": '"""Heat, kept in."""\n\nimport os\n\n\nclass Oven:\n    """Gets hot."""\n\n'
    "    def bake(self, loaves: int) -> int:\n        return loaves\n",
    "src/__init__.py": '"""All about baking."""\n',
    "src/dough.py": "def knead_well(times):\n    return times * 2\n",
}


def make_bakery(root: Path) -> Path:
    for name, text in FILES.items():
        path = root / "bakery" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root / "bakery"


@pytest.fixture
def stack() -> Iterator[Stack]:
    """scout without file tools."""
    with Stack(services=CORE) as running:
        running.start("scout")
        running.wait_bee("scout")
        yield running


def with_files(stack: Stack, *roots: Path) -> None:
    """Start humfs with these roots."""
    settings: Mapping[str, Any] = {
        **QUIET_SETTINGS,
        "fs": {"roots": [{"path": str(root)} for root in roots]},
    }
    stack.configure(settings)
    stack.start("humfs")
    stack.wait_bee("humfs")


def ask(client: Client, sid: str, question: str, **fields: Any) -> tuple[str, list[Flat]]:
    """Ask scout; return its answer and every tone of the turn."""
    client.send(chi="prompt", sid=sid, rid=sid, modelId="scout", content=question, **fields)
    tones: list[Flat] = []
    while not tones or tones[-1]["chi"] not in ("finish", "error"):
        tone = client.read()
        if tone.get("sid") == sid and tone["chi"] != "echo":
            tones.append(tone)
    deltas = (tone["delta"] for tone in tones if tone.get("chunkType") == "text_delta")
    return "".join(deltas), tones


def test_scout_answers_without_a_key_and_says_that_it_is_no_model(stack: Stack) -> None:
    """Experience 2, 0:35."""
    with stack.client() as client:
        text, tones = ask(client, "s", "say hi")

    assert text.startswith("I am scout, hum's built-in worker: not a model")
    assert len([tone for tone in tones if tone.get("chunkType") == "text_delta"]) > 5
    assert tones[-1]["finishReason"] == "end_turn"
    assert tones[-1]["usage"] == {"input_tokens": 0, "output_tokens": 0}


def test_scout_says_how_to_give_it_files_when_it_may_see_none(stack: Stack, home: Path) -> None:
    with stack.client() as client:
        without_tool, _ = ask(client, "s1", "what is in README.md?")
        with_files(stack)
        without_root, _ = ask(client, "s2", "what is in README.md?")

    assert "hum up --root DIR" in without_tool
    assert "hum up --root DIR" in without_root


def test_scout_reads_lists_finds_and_explains(stack: Stack, home: Path) -> None:
    """Experience 2, 1:45."""
    with_files(stack, make_bakery(home))
    with stack.client() as client:
        readme, tones = ask(client, "s1", "what is in README.md?")
        listing, _ = ask(client, "s2", "list the files in src")
        package, package_tones = ask(client, "s3", "what does src define?")
        place, _ = ask(client, "s4", "where is Oven defined?")
        source, _ = ask(client, "s5", "show function knead_well in src/dough.py")
        elsewhere, _ = ask(client, "s6", "outline of oven.py")
        hits, _ = ask(client, "s7", 'search for "loaves"')
        outside, _ = ask(client, "s8", "read /etc/hostname")

    assert "## Setup" in readme
    assert [tone["toolName"] for tone in tones if tone.get("chunkType") == "tool_executed"] == [
        "humfs_read"
    ]
    assert "`oven.py` (10 lines)" in listing
    assert "All about baking." in package
    assert "`Oven`" in package
    assert "`knead_well`" in package
    executed = [tone for tone in package_tones if tone.get("chunkType") == "tool_executed"]
    assert len(executed) == 4
    assert "`Oven` is in `src/oven.py`, lines 6-10. Gets hot." in place
    assert "    return times * 2" in source
    assert "There is no" not in elsewhere
    assert "method `bake(self, loaves: int) -> int`" in elsewhere
    assert "occurs 2 times in 1 file" in hits
    assert "hum up --root DIR" in outside


def test_scout_looks_below_the_roots_when_the_session_is_elsewhere(
    stack: Stack, home: Path
) -> None:
    bakery = make_bakery(home)
    with_files(stack, bakery)
    with stack.client() as client:
        text, _ = ask(client, "s", "outline of src/oven.py", cwd="/usr")

    assert "class `Oven`" in text


def test_scout_introduces_itself_once(stack: Stack) -> None:
    with stack.client() as client:
        first, _ = ask(client, "s", "hello")
        history = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": first}]
        second, _ = ask(client, "s", "thanks", history=history)

    assert "I am scout" not in second
