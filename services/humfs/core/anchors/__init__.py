"""Anchors: the addressable places of files that are not code.

Each format is a function from text to anchors in file order. A format nobody knows yet is plain
text. Adding one is a file here and rows in `_BY_EXTENSION`; its edits are in
`core.scopes`.
"""

from collections.abc import Callable

from humfs.core.anchors import json_members, markdown, plain, sections, yaml_keys
from humfs.core.anchors.anchor import Anchor, number
from humfs.core.languages import extension_of
from humfs.core.text import Text

__all__ = ["Anchor", "anchors_of", "find", "format_of"]

Reader = Callable[[Text], list[Anchor]]

_BY_EXTENSION: dict[str, tuple[str, Reader]] = {
    "md": ("markdown", markdown.anchors),
    "markdown": ("markdown", markdown.anchors),
    "mdx": ("markdown", markdown.anchors),
    "json": ("json", json_members.anchors),
    "webmanifest": ("json", json_members.anchors),
    "ipynb": ("json", json_members.anchors),
    "jsonc": ("jsonc", json_members.anchors),
    "toml": ("toml", sections.toml),
    "ini": ("ini", sections.ini),
    "cfg": ("ini", sections.ini),
    "conf": ("ini", sections.ini),
    "properties": ("ini", sections.ini),
    "editorconfig": ("ini", sections.ini),
    "gitconfig": ("ini", sections.ini),
    "npmrc": ("ini", sections.ini),
    "env": ("env", sections.env),
    "yaml": ("yaml", yaml_keys.anchors),
    "yml": ("yaml", yaml_keys.anchors),
}
_BY_NAME = dict.fromkeys(("Cargo.lock", "poetry.lock", "uv.lock", "Pipfile"), _BY_EXTENSION["toml"])
_PLAIN = ("text", plain.anchors)


def format_of(path: str) -> str:
    """The name of a non-code file's format, as shown."""
    return _reader_of(path)[0]


def anchors_of(path: str, text: Text) -> list[Anchor]:
    """The anchors of a non-code file, numbered where targets repeat."""
    return number(_reader_of(path)[1](text))


def find(anchors: list[Anchor], target: str) -> list[Anchor]:
    """The anchors a target means: as shown, else by name, else by the end of their path."""
    tests: tuple[Callable[[Anchor], bool], ...] = (
        lambda anchor: anchor.label == target,
        lambda anchor: anchor.target == target,
        lambda anchor: anchor.name == target,
        lambda anchor: anchor.target.endswith(f".{target}"),
    )
    for test in tests:
        found = [anchor for anchor in anchors if test(anchor)]
        if found:
            return found
    return []


def _reader_of(path: str) -> tuple[str, Reader]:
    name = path.rpartition("/")[2]
    if name.startswith(".env"):
        return _BY_EXTENSION["env"]
    if name in _BY_NAME:
        return _BY_NAME[name]
    return _BY_EXTENSION.get(extension_of(path), _PLAIN)
