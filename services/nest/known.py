"""The secrets of this hum that are in files, so that a process can keep them out of what it writes.

Workers' keys as `hum up` left them, the key files that the settings name, the sidecar's token.
Identity keys are not among them: they are raw bytes, which no text can hold.
"""

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

from nest.paths import Paths
from nest.private import read_private
from nest.settings import Settings
from thrum.errors import SettingsRefused

FILES_MAX = 64
"""Files that are looked into."""


def known_secrets(paths: Paths, settings: Settings) -> list[str]:
    """The text of every such file. One that is missing, or that we may not read, has none."""
    found: list[str] = []
    for path, _ in zip(_files(paths, settings), range(FILES_MAX), strict=False):
        try:
            text = read_private(path).decode().strip()
        except (OSError, SettingsRefused, UnicodeDecodeError):
            continue
        if text:
            found.append(text)
    return found


def _files(paths: Paths, settings: Settings) -> Iterator[Path]:
    yield paths.sidecar_token
    for section in dataclasses.fields(settings.workers):
        named = getattr(getattr(settings.workers, section.name), "key_file", None)
        if named:
            yield Path(named)
    if paths.worker_keys.is_dir():
        yield from (Path(entry.path) for entry in os.scandir(paths.worker_keys))
