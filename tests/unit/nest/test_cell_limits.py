"""What a cell may take, and what it died of (features A8)."""

import resource

import pytest

from nest.cells.cgroups import MEMORY, PIDS
from nest.cells.limits import Death, Limit, Limits, reached

ALL = Limits(memory_bytes=1_000, files=64, processes=20, cpu_seconds=60)


def test_limits_become_those_of_the_system() -> None:
    assert ALL.resources() == {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_DATA: 1_000,
        resource.RLIMIT_NOFILE: 64,
        resource.RLIMIT_NPROC: 20,
        resource.RLIMIT_CPU: 60,
    }
    assert ALL.groups() == {MEMORY: 1_000, PIDS: 20}


def test_what_is_not_bounded_is_left_alone() -> None:
    assert Limits().resources() == {resource.RLIMIT_CORE: 0}
    assert Limits().groups() == {}


@pytest.mark.parametrize(
    ("death", "limit"),
    [
        (Death(status=1, hits=frozenset({MEMORY})), Limit.MEMORY),
        (Death(status=137, peak_bytes=950), Limit.MEMORY),
        (Death(status=1, last_words="Traceback\nMemoryError"), Limit.MEMORY),
        (Death(status=134, last_words="FATAL ERROR: JavaScript heap out of memory"), Limit.MEMORY),
        (Death(status=137, cpu_seconds=59.1), Limit.CPU),
        (Death(status=1, last_words="OSError: [Errno 24] Too many open files"), Limit.FILES),
        (Death(status=1, last_words="Error: EMFILE"), Limit.FILES),
        (Death(status=1, last_words="sh: 1: Cannot fork"), Limit.PROCESSES),
        (Death(status=2, hits=frozenset({PIDS})), Limit.PROCESSES),
    ],
)
def test_a_death_names_its_limit(death: Death, limit: Limit) -> None:
    assert reached(ALL, death) is limit
    assert reached(Limits(), death) is None


@pytest.mark.parametrize(
    "death",
    [
        Death(status=0, hits=frozenset({MEMORY, PIDS})),
        Death(status=1, cpu_seconds=90.0, peak_bytes=990),
        Death(status=137, cpu_seconds=58.0, peak_bytes=100),
        Death(status=1, last_words="No such file or directory"),
    ],
)
def test_another_death_names_none(death: Death) -> None:
    assert reached(ALL, death) is None


def test_a_limit_is_told_with_its_unit() -> None:
    assert [ALL.most(limit) for limit in Limit] == [
        "1000 bytes",
        "64 open files",
        "20 processes",
        "60 s of processor time",
    ]
