"""What can go wrong with the log."""

from thrum.errors import LocalError, LogUnavailable


class DiskFull(LocalError):
    """There is no room for a group. Nothing was acknowledged; the next try may find room."""


class LogReadOnly(LocalError):
    """The log is damaged or shorter than it was. It is read, and never written."""


class WriteFailed(LogUnavailable):
    """The disk failed while writing or syncing. What is on it is unknown: end, and verify at start.

    A second sync could say yes to pages that the kernel has dropped, so there is none.
    """


class KeyNotHere(LocalError):
    """The seed of the log's next key is kept somewhere else."""
