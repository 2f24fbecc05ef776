"""Where the program keeps its sessions: `projects/FOLDER/SESSION.jsonl` below its own folder."""

from collections.abc import Mapping
from pathlib import Path

OWN = ".claude"
"""The program's folder, in the home of its user, unless `CLAUDE_CONFIG_DIR` says another."""


def projects_of(environ: Mapping[str, str], home: Path) -> Path:
    """The folder in which the program has one for each project."""
    return Path(environ.get("CLAUDE_CONFIG_DIR") or home / OWN, "projects")


def has_session(projects: Path, session: str) -> bool:
    """Whether the program has written anything under this name; False when nobody can tell.

    How it names the folder of a project is its own affair: each of them is looked into.
    """
    try:
        return any(projects.glob(f"*/{session}.jsonl"))
    except OSError:
        return False
