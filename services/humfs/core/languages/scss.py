"""SCSS: CSS with its own at-rules, on its own grammar."""

import warnings
from dataclasses import replace

import tree_sitter_scss
from tree_sitter import Language as Grammar

from humfs.core.languages import css
from humfs.core.languages.language import TreeLanguage
from humfs.core.syntax import types


def _grammar() -> Grammar:
    """The grammar; its package still hands over an address where others hand over a capsule."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return Grammar(tree_sitter_scss.language())


SYNTAX = replace(
    css.SYNTAX,
    name="scss",
    comments=types("comment js_comment"),
    imports=types("import_statement use_statement forward_statement"),
)
LANGUAGE = TreeLanguage(SYNTAX, css.TABLE, _grammar())
