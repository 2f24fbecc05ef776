"""Languages that are parsed. Adding one is a file here and a row in `TABLE`.

A language module has `LANGUAGE: Language`. Modules and their grammars are imported when the first
file of that language is read, so a grammar nobody needs costs no memory.
"""

import importlib
import re
from functools import cache

from humfs.core.languages.language import Language
from humfs.core.syntax import types

TABLE: dict[str, str] = {
    extension: module
    for module, extensions in {
        "python": "py pyi",
        "javascript": "js jsx mjs cjs",
        "typescript": "ts mts cts",
        "tsx": "tsx",
        "go": "go",
        "rust": "rs",
        "java": "java",
        "c": "c h",
        "cpp": "cc cpp cxx hh hpp hxx",
        "ruby": "rb",
        "php": "php",
        "c_sharp": "cs",
        "bash": "sh bash",
        "vue": "vue",
    }.items()
    for extension in extensions.split()
}
"""File extension -> module in this package."""
TEXT_ONLY_CODE = types("kt kts swift scala lua zsh fish svelte sql")
"""Extensions of code that is shown and searched, but not parsed."""


_COMMENT = re.compile(rb"//[^\n]*|/\*.*?\*/|\"(?:[^\"\\\n]|\\.)*\"", re.DOTALL)
_CPP_WORD = re.compile(rb"\b(?:class|namespace|template)\b|::")


def extension_of(path: str) -> str:
    """The extension of the last component, in lower case; empty when there is none."""
    name = path.rpartition("/")[2]
    return name.rpartition(".")[2].lower() if "." in name else ""


def language_of(path: str, source: bytes = b"") -> Language | None:
    """The language a file is parsed as, by its extension; None when it is not parsed.

    A header is C++ when it holds a word that only C++ has, so its language needs its source.
    """
    extension = extension_of(path)
    module = TABLE.get(extension)
    if extension == "h" and _CPP_WORD.search(_COMMENT.sub(b" ", source)):
        module = "cpp"
    return _load(module) if module is not None else None


def is_parsed(path: str) -> bool:
    """Whether a file is parsed, by its extension."""
    return extension_of(path) in TABLE


def is_code(path: str) -> bool:
    """Whether a file is code, parsed or not."""
    return is_parsed(path) or extension_of(path) in TEXT_ONLY_CODE


@cache
def _load(module: str) -> Language:
    loaded: Language = importlib.import_module(f"{__name__}.{module}").LANGUAGE
    return loaded
