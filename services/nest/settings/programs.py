"""Programs of this machine that settings name."""

import os
import shutil
from collections.abc import Mapping

from nest.settings.model import ClaudeSettings


def claude_program(settings: ClaudeSettings, environ: Mapping[str, str]) -> str | None:
    """Where Claude Code is; None when it is nowhere."""
    wanted = settings.path or environ.get("CLAUDE_CLI_PATH") or "claude"
    found = shutil.which(wanted, path=environ.get("PATH"))
    return None if found is None else os.path.abspath(found)
