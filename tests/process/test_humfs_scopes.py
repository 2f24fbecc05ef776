"""Every scope on hundreds of configuration files: an edit touches its place only (features E6)."""

import os
import random
import sysconfig
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from tests.support.config_files import MAKERS, installed, made_up
from tests.support.config_places import FINDERS, Place, places
from tests.support.humfs import Tools

from humfs.tools.tool import Result

pytestmark = pytest.mark.process

SEED = 6
FILES, FILES_SOAK = 105, 700
PACKAGES = [Path(sysconfig.get_path("purelib")), Path("/usr/lib/node_modules"), Path("/usr/share")]
INSTALLED = ("json", "yaml", "toml", "ini", "cfg", "md", "txt")
CORRUPT_SHARE_MAX = 0.1
SCOPES = {"word", "phrase", "sentence", "paragraph"}


@pytest.fixture(autouse=True)
def _no_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is on the platter is not asked here."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


class Edits:
    """Edits of many files, and what was wrong with them."""

    def __init__(self, tools: "Tools | Careless", root: Path) -> None:
        self.tools, self.root = tools, root
        self.done: Counter[tuple[str, str]] = Counter()
        self.refused: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.files = 0

    def each(self, files: Iterable[tuple[str, str, str]]) -> None:
        """Edit every file at places of every scope, each time from its first content."""
        dice = random.Random(SEED)
        for name, extension, text in files:
            self.files += 1
            for place in places(extension, text, dice):
                self._edit(name, extension, text, place)

    def _edit(self, name: str, extension: str, text: str, place: Place) -> None:
        file = self.root / f"f{self.files}.{extension}"
        before = text.encode()
        file.write_bytes(before)
        args = {"file_path": file.name, place.scope: place.wanted, "replace": place.replace}
        sid = f"s{self.done.total() + self.refused.total()}"
        result = self.tools.call("humfs_do_noncode", args, sid=sid)
        after = file.read_bytes()
        fault = self._fault(result.metadata.get("error"), before, after, text, place)
        if fault:
            shown = f"{name}: {place}: {fault}\n{result.output[:300]}"
            self.wrong.append(f"{shown}\n{text[max(0, place.start - 80) : place.end + 80]!r}")
        elif result.is_error:
            self.refused[str(result.metadata["error"])] += 1
        else:
            self.done[extension, place.scope] += 1

    def _fault(
        self, error: object, before: bytes, after: bytes, text: str, place: Place
    ) -> str | None:
        if error is not None:
            if after != before:
                return "refused and changed"
            return None if error in ("corrupt", "no_change") else f"refused as {error}"
        head, tail = text[: place.start].encode(), text[place.end :].encode()
        kept = after.startswith(head) and after.endswith(tail)
        if not kept or len(after) < len(head) + len(tail):
            return "changed outside its place"
        return "success without a change" if after == before else None


class Careless:
    """The wrong way: every place where the text stands is replaced."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def call(self, tool: str, args: dict[str, str], *, sid: str) -> Result:
        file = self.root / args["file_path"]
        wanted = next(args[scope] for scope in sorted(SCOPES) if scope in args)
        file.write_text(file.read_text().replace(wanted, args["replace"]))
        return Result(output="Replaced")


def check(edits: Edits) -> None:
    tried = edits.done.total() + edits.refused.total()
    assert edits.wrong == []
    assert {scope for _, scope in edits.done} == SCOPES
    assert edits.refused.total() <= CORRUPT_SHARE_MAX * tried


def made(seed: int, count: int) -> Iterator[tuple[str, str, str]]:
    for number, (extension, text) in enumerate(made_up(seed, count)):
        yield f"made {number}", extension, text


def found(count: int) -> Iterator[tuple[str, str, str]]:
    for path in installed([one for one in PACKAGES if one.is_dir()], INSTALLED, count):
        try:
            text = path.read_bytes().decode()
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            yield str(path), path.suffix[1:], text


def test_an_edit_of_a_made_up_file_touches_its_place_only(tools: Tools, root: Path) -> None:
    """Features E6."""
    edits = Edits(tools, root)

    edits.each(made(SEED, FILES))

    check(edits)
    assert {extension for extension, _ in edits.done} == set(MAKERS)


def test_an_edit_of_an_installed_file_touches_its_place_only(tools: Tools, root: Path) -> None:
    """Features E6."""
    edits = Edits(tools, root)

    edits.each(found(FILES))

    check(edits)


def test_control_replacing_text_wherever_it_stands_touches_more(root: Path) -> None:
    edits = Edits(Careless(root), root)

    edits.each(made(SEED, FILES // 5))

    assert len(edits.wrong) > FILES // 5


@pytest.mark.soak
@pytest.mark.timeout(1_800)
def test_an_edit_of_hundreds_of_files_touches_its_place_only(tools: Tools, root: Path) -> None:
    """Features E6."""
    edits = Edits(tools, root)

    edits.each(made(SEED + 1, FILES_SOAK))
    edits.each(found(FILES_SOAK))

    check(edits)
    assert edits.files > FILES_SOAK
    assert {extension for extension, _ in edits.done} <= set(FINDERS)
