"""The file of cursors, and what they hold: on disk before anybody is answered by it.

A file that cannot be read is taken for none, and that is logged: readers say themselves how far
they are.
"""

import logging
from pathlib import Path

from nest.private import read_private, replace_private
from thehum.core.cursors import Cursor, asked_of, dump_cursors, lapsed, read_cursors
from thehum.core.names import CURSORS
from thehum.core.retention import Needs
from thehum.edge.disk import told_apart
from thehum.edge.log import Log
from thrum.errors import SettingsRefused
from thrum.tones import Body

log = logging.getLogger(__name__)


class Cursors:
    """See the module."""

    def __init__(self, root: Path, opened: Log, needs: Needs) -> None:
        self._path, self._log, self._needs = root / CURSORS, opened, needs
        self._table: dict[str, Cursor] = {}
        try:
            self._table = read_cursors(read_private(self._path))
        except FileNotFoundError:
            pass
        except (SettingsRefused, OSError, TypeError, ValueError) as problem:
            log.error("log.bad_cursors", extra={"reason": str(problem)})
        for name in self._table:
            self._hold(name)

    def __len__(self) -> int:
        return len(self._table)

    @property
    def lapsed(self) -> int:
        """Cursors that were too far behind."""
        return sum(cursor.is_lapsed for cursor in self._table.values())

    def ask(self, asked: Body) -> int:
        """What the reader of a request has by now; on disk when this returns.

        Raises `CursorRefused`, `DiskFull`, `WriteFailed`.
        """
        name, cursor = asked_of(
            self._table, asked, first_seq=self._log.first_seq, head_seq=self._log.head.seq
        )
        if self._table.get(name) != cursor:
            self._write({**self._table, name: cursor})
            self._hold(name)
        return cursor.acked

    def end(self, name: object) -> None:
        """Nobody follows under this name any more."""
        if isinstance(name, str) and name in self._table:
            self._write({each: one for each, one in self._table.items() if each != name})
            self._needs.release(f"cursor {name}")

    def make_room(self, upto_seq: int) -> None:
        """The events up to here have to go, whoever still wants them."""
        gone = lapsed(self._table, upto_seq=upto_seq)
        if gone:
            self._write({**self._table, **gone})
            for name, cursor in gone.items():
                self._hold(name)
                log.warning("log.cursor_lapsed", extra={"cursor": name, "acked": cursor.acked})

    def _hold(self, name: str) -> None:
        cursor = self._table[name]
        if cursor.is_lapsed:
            self._needs.release(f"cursor {name}")
        else:
            self._needs.hold(f"cursor {name}", cursor.acked)

    def _write(self, table: dict[str, Cursor]) -> None:
        with told_apart("writing the cursors"):
            replace_private(self._path, dump_cursors(table))
        self._table = table
