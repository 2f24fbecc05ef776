"""Names nobody writes through these tools, whether or not they exist yet.

Other programs run or trust what stands under them: hooks and configuration of version control,
start-up files of shells, settings of editors and of coding agents. A model that may edit a
repository could otherwise have its own code run later, outside every fence. Reading them is not
refused; `fs.denied` of the settings does that, and hum's own state is among those.

A name counts in every disguise a file system may see through: other case, compatibility forms,
characters that are not shown, dots and blanks at the end. It counts below every directory, because
a root may hold many repositories and homes.
"""

import re
import unicodedata
from collections.abc import Iterator, Set
from dataclasses import dataclass

PROTECTED_FILES = (
    # version control
    ".git/config",
    ".git/config.worktree",
    ".git/commondir",
    ".git/info/attributes",
    ".gitconfig",
    ".gitmodules",
    ".hg/hgrc",
    ".hgrc",
    # shells and what they read when they start
    ".bashrc",
    ".bash_profile",
    ".bash_login",
    ".bash_logout",
    ".bash_aliases",
    ".profile",
    ".login",
    ".logout",
    ".zshrc",
    ".zshenv",
    ".zprofile",
    ".zlogin",
    ".zlogout",
    ".kshrc",
    ".mkshrc",
    ".cshrc",
    ".tcshrc",
    ".inputrc",
    ".envrc",
    ".pam_environment",
    ".xinitrc",
    ".xprofile",
    ".xsession",
    ".xsessionrc",
    # editors and pagers
    ".vimrc",
    ".gvimrc",
    ".exrc",
    ".nvimrc",
    ".nvim.lua",
    ".emacs",
    ".dir-locals.el",
    ".nanorc",
    ".lesskey",
    ".ripgreprc",
    ".gdbinit",
    ".lldbinit",
    ".pythonrc.py",
    # coding agents and their tools
    ".mcp.json",
    "mcp.json",
    ".claude.json",
    ".aider.conf.yml",
)
"""Files, as the end of a path."""

PROTECTED_DIRECTORIES = (
    ".git/hooks",
    ".husky/_",
    ".ssh",
    ".direnv",
    ".config/autostart",
    ".config/environment.d",
    ".config/fish",
    ".config/git",
    ".config/nvim",
    ".config/systemd",
    ".vim",
    ".emacs.d",
    ".vscode",
    ".vscode-server",
    ".idea",
    ".zed",
    ".fleet",
    ".claude",
    ".codex",
    ".continue",
    ".cursor",
    ".gemini",
    ".kiro",
    ".opencode",
    ".roo",
    ".windsurf",
)
"""Directories with everything below them, as a run of names anywhere in a path."""

PROTECTED_SUFFIXES = (".code-workspace",)
"""Ends of file names that editors open as their settings."""

REPOSITORY_PARTS = ("HEAD", "objects", "refs", "commondir")
"""What makes a folder a repository, whatever it is called."""

_UNSEEN = re.compile(
    r"[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    r"\u3164\ufe00-\ufe0f\ufeff\uffa0]"
)


@dataclass(frozen=True, slots=True)
class _Entry:
    names: tuple[str, ...]
    shown: str


_FILES = tuple(_Entry(tuple(path.split("/")), path) for path in PROTECTED_FILES)
_DIRECTORIES = tuple(_Entry(tuple(path.split("/")), path) for path in PROTECTED_DIRECTORIES)
_GIT = ".git"
_REPOSITORIES = ("modules", "worktrees")
_REBASING = "rebase-merge"
"""What a rebase that was stopped goes on with, commands among it."""
_RUN_FROM = ("config", "config.worktree", "hooks", _REBASING)
"""What git runs or trusts in it."""
_OF_REPOSITORIES = {name.casefold(): name for name in (*REPOSITORY_PARTS, *_RUN_FROM)}
_HELD_BY_GIT = frozenset({"config", "config.worktree", "commondir", "hooks"})


def protecting(path: str) -> str | None:
    """The protected name that a path is or lies below; None when it may be written.

    `path` is absolute or relative to a root, without `..`.
    """
    names = tuple(folded(name) for name in path.split("/") if name not in ("", "."))
    for entry in _FILES:
        if names[-len(entry.names) :] == entry.names:
            return entry.shown
    for entry in _DIRECTORIES:
        if _holds(names, entry.names):
            return entry.shown
    if names and names[-1].endswith(PROTECTED_SUFFIXES):
        return names[-1]
    return _in_git(names)


def repositories(path: str) -> Iterator[tuple[str, str]]:
    """Folders on the way of a path below a root that are, or become, bare repositories by a name.

    With each comes that name as git spells it: a part of a repository, or what git runs from it.
    """
    names = path.split("/")
    if _GIT in map(folded, names):
        return
    for at, name in enumerate(names):
        if (told := _OF_REPOSITORIES.get(folded(name))) is not None:
            yield "/".join(names[:at]), told


def is_repository(names: Set[str]) -> bool:
    """Whether git takes a folder with these names in it for a repository."""
    return "HEAD" in names and ("commondir" in names or {"objects", "refs"} <= names)


def folded(name: str) -> str:
    """A name as the most forgiving file system would take it."""
    seen = _UNSEEN.sub("", unicodedata.normalize("NFKC", name))
    return unicodedata.normalize("NFKC", seen.casefold()).rstrip(". ") or seen


def _holds(names: tuple[str, ...], run: tuple[str, ...]) -> bool:
    last = len(names) - len(run)
    return any(names[at : at + len(run)] == run for at in range(last + 1))


def _in_git(names: tuple[str, ...]) -> str | None:
    """A `.git` that is itself a file, and the repositories that lie inside another one's `.git`."""
    if _GIT not in names:
        return None
    inside = names[names.index(_GIT) + 1 :]
    if not inside:
        return _GIT
    if _REBASING in inside:
        return f"{_GIT}/{_REBASING}"
    if inside[0] in _REPOSITORIES:
        return next((f"{_GIT}/{inside[0]}/{one}" for one in inside if one in _HELD_BY_GIT), None)
    return None
