"""Hundreds of edits of code that nobody wrote for this test (features E3).

Of every edit: nothing outside the symbol's lines has changed, and what another program sees in the
file is what it saw before, once more, or without the symbol; or the edit was refused with a place,
and the file is as it was.
"""

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.humfs import Tools
from tests.support.intents import Intent, Judged, intents, judge, recount

from humfs.tools.tool import Result

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(shutil.which("ctags") is None, reason="ctags is not installed"),
]

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = Path(asyncio.__file__).parents[1]
SAMPLES = ROOT / "tests" / "unit" / "humfs" / "outlines"
GO = Path(os.environ.get("GOROOT", "/usr/local/go")) / "src"
AT_HAND = {
    "Python": ([LIBRARY / "asyncio", LIBRARY / "http", LIBRARY / "email"], (".py",), 56),
    "JavaScript": ([Path("/usr/lib/node_modules"), SAMPLES], (".js",), 40),
    "TypeScript": ([ROOT / "clients", SAMPLES], (".ts",), 12),
    "Go": ([GO / "net", ROOT / "clients", SAMPLES], (".go",), 48),
    "C": ([GO / "runtime" / "cgo", SAMPLES], (".c",), 20),
    "C++": ([SAMPLES], (".cpp",), 10),
    "Rust": ([SAMPLES], (".rs",), 20),
    "Java": ([SAMPLES], (".java",), 10),
    "C#": ([SAMPLES], (".cs",), 10),
    "Ruby": ([SAMPLES], (".rb",), 10),
    "PHP": ([SAMPLES], (".php",), 10),
    "Sh": ([Path("/usr/share"), Path("/usr/lib/git-core"), SAMPLES], (".sh",), 16),
}
"""Language -> where files of it may be, their suffixes, and how many edits of them."""
NPM = ["express@4", "rxjs@7", "zod@3", "react-native@0.74", "react-native-windows@0.74"]
CRATES = ["serde_json@1", "regex-automata@0.4"]
"""Packages of the long form, for languages of which few files are on a machine."""
LONG = {
    **{language: (suffixes, 60) for language, (_, suffixes, _) in AT_HAND.items()},
    "Python": ((".py",), 120),
    "C++": ((".cpp", ".cc", ".hpp"), 60),
}
FILES_MAX = 60
INTENTS = 500
REFUSED_SHARE_MAX = 0.1


@pytest.fixture(autouse=True)
def _no_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is on the platter is not asked here."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


def below(folders: list[Path], suffixes: tuple[str, ...], *, most: int) -> list[Path]:
    """Files of some trees by suffix; of many, every n-th."""
    found = [
        path
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.suffix in suffixes
        and path.is_file()
        and not path.is_symlink()
        and ".d." not in path.name  # ctags reads declarations of TypeScript badly
    ]
    return found[:: max(1, len(found) // most)]


def judged(tools: Tools, root: Path, files: list[Path], language: str, most: int) -> Judged:
    judged = Judged()
    changed = [
        one
        for intent in intents(files, language, most=most)
        if (one := judge(judged, tools, root, intent)) is not None
    ]
    recount(judged, changed, language)
    return judged


@pytest.mark.parametrize("language", AT_HAND)
def test_an_edit_changes_its_symbol_and_nothing_else(
    tools: Tools, root: Path, language: str
) -> None:
    """Features E3."""
    folders, suffixes, most = AT_HAND[language]

    result = judged(tools, root, below(folders, suffixes, most=FILES_MAX), language, most)

    sys.stdout.write(f"{language}: {result.done} {result.refusals}\n")
    assert result.wrong == []
    assert result.done.total() > 0
    assert result.refused.total() <= max(2, REFUSED_SHARE_MAX * result.total)


def test_control_an_edit_of_one_line_too_many_would_be_found(
    tools: Tools, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def careless(tools: Tools, intent: Intent, name: str) -> Result:
        rest = intent.lines[intent.last + 1 :]
        (root / name).write_bytes(b"".join([*intent.lines[: intent.tag.line - 1], *rest]))
        return Result(output="Deleted")

    monkeypatch.setattr("tests.support.intents.carry_out", careless)

    result = judged(tools, root, [LIBRARY / "asyncio" / "events.py"], "Python", 40)

    assert len(result.wrong) > result.total // 2


def packages(at: Path) -> list[Path]:
    """Trees of code in many languages: npm packages and crates, where those can be had."""
    at.mkdir()
    (at / "package.json").write_text('{"name": "x", "version": "1.0.0"}')
    (at / "Cargo.toml").write_text(
        '[package]\nname = "x"\nversion = "0.1.0"\n[lib]\npath = "x.rs"\n'
    )
    (at / "x.rs").touch()
    quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--legacy-peer-deps"]
    commands = (
        ["npm", "install", *quiet, *NPM],
        ["cargo", "add", "--quiet", *CRATES],
        ["cargo", "vendor", "--quiet", "vendor"],
    )
    for command in commands:
        if shutil.which(command[0]) is not None:
            subprocess.run(command, cwd=at, capture_output=True, check=False)
    return [at / "node_modules", at / "vendor"]


@pytest.mark.soak
@pytest.mark.timeout(1_800)
def test_an_edit_of_a_package_changes_its_symbol_and_nothing_else(
    tools: Tools, root: Path, tmp_path: Path
) -> None:
    """Features E3."""
    fetched, everything = packages(tmp_path / "packages"), Judged()
    for language, (suffixes, most) in LONG.items():
        trees = [*fetched, *AT_HAND[language][0]]
        files = below([one for one in trees if one.is_dir()], suffixes, most=4 * FILES_MAX)
        result = judged(tools, root, files, language, most)
        sys.stdout.write(f"{language}: {result.done} {result.refused}\n")
        everything.done += result.done
        everything.refused += result.refused
        everything.wrong += result.wrong
        everything.refusals += result.refusals

    sys.stdout.write("\n".join(everything.refusals))
    assert everything.wrong == []
    assert everything.total >= INTENTS
    assert everything.refused.total() <= REFUSED_SHARE_MAX * everything.total
