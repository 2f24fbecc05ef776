"""What can go wrong at the command line, and the exit status of each.

0 done; 1 a finding or a failure; 2 wrong usage; 69 the daemon is not there; 75 not now, try again;
78 configuration refused; 130 interrupted (`__main__`).
"""

from thrum.errors import DaemonAbsent, HumError, LocalError, SettingsRefused

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_ABSENT = 69
EXIT_TRY_AGAIN = 75
EXIT_SETTINGS = 78


class TryAgain(LocalError):
    """Somebody else is doing the same at this moment."""


class NotReady(LocalError):
    """Services were started and did not become ready. They are left as they are."""


class AskRefused(HumError):
    """The prompt was answered with an error tone."""


class StillThere(LocalError):
    """Processes that did not end."""


_STATUS: tuple[tuple[type[HumError], int], ...] = (
    (DaemonAbsent, EXIT_ABSENT),
    (TryAgain, EXIT_TRY_AGAIN),
    (SettingsRefused, EXIT_SETTINGS),
)


def exit_status(error: HumError) -> int:
    """The exit status that stands for `error`."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), EXIT_FAILED)


def absent(what: str) -> DaemonAbsent:
    """The sentence for a daemon that is not there."""
    return DaemonAbsent(what, hint="hum up")
