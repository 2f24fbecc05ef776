"""Names that other programs run or trust are not written (humfs 2.2 rule 7, reliability P23 to
P27, P49 to P51)."""

import pytest

from humfs.core.denied import PROTECTED_DIRECTORIES, PROTECTED_FILES, protecting


@pytest.mark.parametrize("path", PROTECTED_FILES)
def test_each_file_is_protected_at_the_top_and_deeper(path: str) -> None:
    assert protecting(path) == path
    assert protecting(f"/home/u/project/{path}") == path
    assert protecting(f"{path}.bak") is None


@pytest.mark.parametrize("path", PROTECTED_DIRECTORIES)
def test_each_directory_is_protected_with_what_is_below(path: str) -> None:
    assert protecting(path) == path
    assert protecting(f"a/{path}/deeper/file") == path
    assert protecting(f"a{path}/file") is None


@pytest.mark.parametrize(
    "path",
    [
        ".GIT/Hooks/pre-commit",
        ".git /hooks/post-merge",
        ".git./hooks./x",
        ".g\u200cit/hooks/x",
        "\uff0egit/config",
        ".git\u200b/config",
        ".BashRC",
        ".ba\u017fhrc",
        ".Mcp.JSON",
        "sub/.git",
        ".git/modules/lib/hooks/x",
        ".git/modules/a/b/config",
        ".git/worktrees/w/config.worktree",
        ".git/rebase-merge/git-rebase-todo",
        ".git/worktrees/w/Rebase-Merge/done",
        ".git/modules/lib/rebase-merge/git-rebase-todo",
        "My.code-workspace",
        "./.git//hooks/x",
    ],
)
def test_disguises_are_seen_through(path: str) -> None:
    assert protecting(path) is not None


@pytest.mark.parametrize(
    "path",
    [
        "git/hooks/x",
        ".gitignore",
        ".github/workflows/ci.yml",
        ".git/HEAD",
        ".git/modules/lib/HEAD",
        "hooks/x",
        "rebase-merge/git-rebase-todo",
        "config",
        "src/config",
        ".config/app.toml",
        "bashrc",
        "docs/.vimrc.md",
        ".env",
        "…",
        ".",
        "",
    ],
)
def test_other_names_are_free(path: str) -> None:
    assert protecting(path) is None
