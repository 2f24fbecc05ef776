"""TypeScript with JSX: the rules of TypeScript on its other grammar."""

import tree_sitter_typescript
from tree_sitter import Language as Grammar

from humfs.core.languages import typescript
from humfs.core.languages.language import TreeLanguage

LANGUAGE = TreeLanguage(
    typescript.SYNTAX, typescript.TABLE, Grammar(tree_sitter_typescript.language_tsx())
)
