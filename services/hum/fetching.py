"""Where a hive's folder comes from: this machine, or a commit of a git repository, fetched first.

Fetching runs git and nothing of what it fetches. What was fetched is removed again afterwards; the
record of the install has the address and the commit.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hum.install import Origin
from nest.paths import Paths, ensure_private
from thrum.errors import LocalError, SettingsRefused

FETCH_SECONDS = 300
SCHEMES = ("https://", "ssh://", "file://", "git@")
_TREE = re.compile(r"(https://[^/]+/[^/]+/[^/]+)/tree/([^/]+)(?:/(.+))?")
QUIET = (
    "-c", "core.hooksPath=/dev/null", "-c", "protocol.ext.allow=never",
    "-c", "core.symlinks=false",
)  # fmt: skip


@contextmanager
def fetched(source: str, paths: Paths) -> Iterator[Origin]:
    """The folder that `source` means, while it is needed; raises when there is none."""
    if not source.startswith(SCHEMES):
        yield Origin(folder=_folder(source))
        return
    if shutil.which("git") is None:
        raise LocalError("a URL is fetched with git, which is not on PATH", hint="install git")
    match = _TREE.fullmatch(source)
    address, branch, below = match.groups() if match else (source, None, None)
    ensure_private(paths.hive_cache)
    with tempfile.TemporaryDirectory(prefix="fetched-", dir=paths.hive_cache) as directory:
        clone = Path(directory) / "clone"
        where = ("--branch", branch) if branch else ()
        _git("clone", "--quiet", "--depth", "1", *where, "--", address, str(clone))
        commit = _git("-C", str(clone), "rev-parse", "HEAD").strip()
        folder = (clone / (below or "")).resolve()
        if not folder.is_relative_to(clone.resolve()) or not folder.is_dir():
            raise SettingsRefused(f"{source} has no folder {below}", hint="look at the address")
        yield Origin(folder=folder, url=source, commit=commit)


def _folder(source: str) -> Path:
    folder = Path(source).absolute()
    if not folder.is_dir():
        raise SettingsRefused(
            f"{source} is no folder; wanted one with an Orchfile, or a URL of git",
            hint="a bundled hive is there already: hum hive list",
        )
    return folder


def _git(*arguments: str) -> str:
    environ = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    try:
        done = subprocess.run(
            ("git", *QUIET, *arguments),
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=FETCH_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise LocalError(f"git took longer than {FETCH_SECONDS} s", hint="try again") from error
    if done.returncode:
        said = done.stderr.strip() or f"exit status {done.returncode}"
        raise LocalError(f"it cannot be fetched: {said}", hint="git clone, then name the folder")
    return done.stdout
