"""The keys of clients, read again whenever their file changes: what is revoked is so at once."""

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from foragers.core.errors import ApiError
from foragers.core.keys import KEYS_BYTES_MAX, Key, MalformedKeys, admit, read_keys, told_key
from nest.metrics import Registry
from nest.private import read_private
from thrum.errors import SettingsRefused

log = logging.getLogger(__name__)

_Stamp = tuple[int, int, int]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class Keys:
    """Who may ask. A file that cannot be read opens nothing."""

    def __init__(
        self,
        path: Path,
        metrics: Registry,
        *,
        is_needed: bool,
        now_ms: Callable[[], int] = _now_ms,
    ) -> None:
        self.is_needed = is_needed
        self._path = path
        self._now_ms = now_ms
        self._stamp: _Stamp | None = None
        self._keys: Mapping[str, Key] = {}
        self._problem = ""
        self._refused = metrics.counter(
            "hum_front_keys_refused_total", "Requests refused for their key, or for having none."
        )

    @property
    def count(self) -> int:
        """Keys that open something now. Raises `SettingsRefused` when they cannot be read."""
        self._look()
        if self._problem:
            raise SettingsRefused(self._problem, hint=f"ls -l {self._path}")
        return sum(key.state(self._now_ms()) == "live" for key in self._keys.values())

    def admit(self, headers: Mapping[bytes, bytes]) -> Key | None:
        """The key of a request; None when it has none of ours and needs none.

        Raises `ApiError`.
        """
        told = told_key(headers)
        if told is None and not self.is_needed:
            return None
        self._look()
        try:
            if self._problem and self.is_needed:
                raise ApiError(503, "the keys cannot be read; the front's log says why")
            return admit(told, self._keys, self._now_ms(), is_needed=self.is_needed)
        except ApiError:
            self._refused.inc()
            raise

    def _look(self) -> None:
        try:
            status = self._path.stat(follow_symlinks=False)
        except FileNotFoundError:
            self._stamp, self._keys, self._problem = None, {}, ""
            return
        stamp = (status.st_mtime_ns, status.st_ino, status.st_size)
        if stamp == self._stamp:
            return
        self._stamp, self._keys, self._problem = stamp, {}, ""
        try:
            self._keys = read_keys(read_private(self._path, bytes_max=KEYS_BYTES_MAX))
        except (SettingsRefused, MalformedKeys, OSError) as problem:
            self._problem = f"{self._path}: {problem}"
            log.error("keys.unreadable", extra={"reason": self._problem})
