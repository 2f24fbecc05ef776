"""Which protected names are kept from being made, and where.

`core.denied` says what is protected. A name that exists is shown read-only. One that does not is
held by an empty directory while commands run, in the top folder of each root and of each
repository: there other programs look. Below other folders nobody looks for them.

`BARRED` cannot be held, because git fails where it is a folder. It is watched instead: what makes
it is ended, and it is removed.
"""

from humfs.core.denied import PROTECTED_DIRECTORIES, PROTECTED_FILES

_EVERYWHERE = """
.git/config .git/config.worktree .git/info/attributes .git/hooks .gitmodules .hg/hgrc
.husky/_ .envrc .direnv .exrc .nvimrc .nvim.lua .dir-locals.el .gdbinit .lldbinit .mcp.json
mcp.json .aider.conf.yml .vscode .idea .zed .fleet .claude .codex .continue .cursor .gemini
.kiro .opencode .roo .windsurf"""
BARRED = "commondir"
"""A file in a repository's own folder that has git take its configuration from anywhere. No program
makes one where it is missing, but for a new folder in `.git/worktrees`."""
_ALL = tuple(
    name
    for name in dict.fromkeys((*PROTECTED_FILES, *PROTECTED_DIRECTORIES))
    if name != f".git/{BARRED}"
)

IN_ROOTS = _ALL
"""Kept in the top folder of a root, which may be somebody's home."""
IN_REPOSITORIES = tuple(name for name in _ALL if name in _EVERYWHERE.split())
"""Kept in the top folder of a repository."""

_FIRST = frozenset(name.partition("/")[0] for name in _ALL)
_LAST = frozenset((BARRED, *(name.rpartition("/")[2] for name in _ALL)))


def may_be_protected(name: str) -> bool:
    """Whether a path that ends in `name` is worth asking `core.denied.protecting` about."""
    plain = name.rstrip(". ").casefold()
    return (
        plain in _LAST or plain in _FIRST or plain.endswith(".code-workspace") or not name.isascii()
    )
