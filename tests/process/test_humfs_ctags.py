"""Outlines beside those of Universal Ctags, on code that nobody wrote for this test.

The differences between the two that are no mistake of either are in `tests.support.ctags`.
"""

import asyncio
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.support.ctags import KINDS, Compared, compare

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(shutil.which("ctags") is None, reason="ctags is not installed"),
]

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = Path(asyncio.__file__).parents[1]
SAMPLES = ROOT / "tests" / "unit" / "humfs" / "outlines"
FILES_MAX = 250
"""Of a big tree every nth file is read, so many in all."""
SHARE_MIN = 0.995
PACKAGES = ["lodash@4", "express@4", "rxjs@7", "vue@3", "axios@1", "zod@3"]
"""npm packages of the long form: JavaScript in several styles, and TypeScript."""


def below(root: Path, *suffixes: str, most: int = FILES_MAX) -> list[Path]:
    """Files of a tree by their suffix; minified ones are not for readers."""
    found = [
        path
        for suffix in suffixes
        for path in sorted(root.rglob(f"*{suffix}"))
        if path.is_file() and not path.is_symlink() and ".min." not in path.name
    ]
    return found[:: max(1, len(found) // most)]


def assert_nearly_all_found(compared: Compared, at_least: int) -> None:
    assert compared.total >= at_least
    assert compared.share >= SHARE_MIN, compared.missing[:20]


@pytest.mark.parametrize(
    ("folders", "suffix", "language", "at_least"),
    [
        ([ROOT / "services", ROOT / "tests"], ".py", "Python", 3_000),
        ([LIBRARY / name for name in ("asyncio", "json", "http")], ".py", "Python", 1_300),
        ([ROOT / "clients"], ".ts", "TypeScript", 10),
        ([ROOT / "clients"], ".go", "Go", 10),
    ],
)
def test_outlines_have_what_ctags_has(
    folders: list[Path], suffix: str, language: str, at_least: int
) -> None:
    files = [path for folder in folders for path in below(folder, suffix)]

    assert_nearly_all_found(compare(files, language), at_least)


def test_scripts_without_a_suffix_are_read_as_what_they_are_named(tmp_path: Path) -> None:
    for script in (ROOT / "scripts").iterdir():
        if script.is_file() and b"bash" in script.read_bytes()[:40]:
            shutil.copy(script, tmp_path / f"{script.name}.sh")

    assert_nearly_all_found(compare(below(tmp_path, ".sh"), "Sh"), 5)


@pytest.mark.parametrize("language", sorted(set(KINDS) - {"Python"}))
def test_samples_have_what_ctags_has(language: str) -> None:
    names = {"C++": ".cpp", "C#": ".cs", "Ruby": ".rb", "Rust": ".rs", "Sh": ".sh"}
    suffix = names.get(language, f".{language.lower()}")
    suffix = {"JavaScript": ".js", "TypeScript": ".ts"}.get(language, suffix)

    assert_nearly_all_found(compare(below(SAMPLES, suffix), language), 2)


def test_modules_of_npm_itself_have_what_ctags_has() -> None:
    modules = Path("/usr/lib/node_modules")
    if not modules.is_dir():
        pytest.skip("npm is not installed")

    assert_nearly_all_found(compare(below(modules, ".js"), "JavaScript"), 500)


def test_the_library_of_go_has_what_ctags_has() -> None:
    root = Path(os.environ.get("GOROOT", "/usr/local/go")) / "src" / "net"
    if not root.is_dir():
        pytest.skip("Go is not installed")

    assert_nearly_all_found(compare(below(root, ".go", most=60), "Go"), 500)


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_npm_packages_have_what_ctags_has(tmp_path: Path) -> None:
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    (tmp_path / "package.json").write_text('{"name": "x", "version": "1.0.0"}')
    install = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", *PACKAGES]
    if subprocess.run(install, cwd=tmp_path, capture_output=True, check=False).returncode:
        pytest.skip("the registry of npm cannot be reached")

    for suffix, language in ((".js", "JavaScript"), (".ts", "TypeScript")):
        files = below(tmp_path / "node_modules", suffix, most=3_000)
        assert_nearly_all_found(compare(files, language), 1_500)
