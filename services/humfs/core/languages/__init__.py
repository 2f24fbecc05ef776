"""Languages that are parsed. Adding one is a file here and a row in `TABLE`.

A language module has `LANGUAGE: Language`. Modules and their grammars are imported when the first
file of that language is read, so a grammar nobody needs costs no memory.
"""

import importlib
from functools import cache

from humfs.core.languages.language import Language

TABLE: dict[str, str] = {
    "py": "python",
    "pyi": "python",
}
"""File extension -> module in this package."""
# fmt: off
TEXT_ONLY_CODE = frozenset({
    "js", "jsx", "mjs", "cjs", "ts", "mts", "cts", "tsx", "go", "rs", "java", "c", "h", "cc",
    "cpp", "cxx", "hh", "hpp", "hxx", "rb", "php", "cs", "sh", "bash", "vue", "kt", "kts",
    "swift", "scala", "lua", "zsh", "fish", "svelte", "sql",
})
# fmt: on
"""Extensions of code that is shown and searched, but not parsed."""


def extension_of(path: str) -> str:
    """The extension of the last component, in lower case; empty when there is none."""
    name = path.rpartition("/")[2]
    return name.rpartition(".")[2].lower() if "." in name else ""


def language_of(path: str) -> Language | None:
    """The language a file is parsed as, by its extension; None when it is not parsed."""
    module = TABLE.get(extension_of(path))
    return _load(module) if module is not None else None


def is_code(path: str) -> bool:
    """Whether a file is code, parsed or not."""
    extension = extension_of(path)
    return extension in TABLE or extension in TEXT_ONLY_CODE


@cache
def _load(module: str) -> Language:
    loaded: Language = importlib.import_module(f"{__name__}.{module}").LANGUAGE
    return loaded
