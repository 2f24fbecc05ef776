"""What bees say in `log` tones, in humd's own log."""

import logging
from typing import Any

import pytest

from humd.edge import said_logs
from humd.edge.said_logs import BODY_BYTES_MAX, LINES_BURST, LINES_PER_SECOND, BeeLogs
from nest.metrics import Registry
from thrum import frames
from thrum.frames import Header
from thrum.redaction import KnownSecrets


class Rig:
    """The lines that were written, and what was counted."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self.metrics = Registry()
        self.secrets: list[str] = []
        self.logs = BeeLogs(self.metrics, lambda: KnownSecrets(self.secrets))
        self.caplog = caplog
        caplog.set_level(logging.DEBUG, said_logs.log.name)

    def says(self, client: str = "c", *, now: float = 1.0, **body: Any) -> None:
        header = Header("log", sid="s")
        self.logs.write(client, "scout", header, frames.pack_body(body), now)

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [vars(record) for record in self.caplog.records]

    def dropped(self, reason: str) -> float:
        name = "hum_bee_log_lines_dropped_total"
        found: Any = next(one for one in self.metrics.snapshot() if one["name"] == name)
        samples = [one for one in found["samples"] if one["labels"]["reason"] == reason]
        return float(sum(one["value"] for one in samples))


@pytest.fixture
def rig(caplog: pytest.LogCaptureFixture) -> Rig:
    return Rig(caplog)


@pytest.mark.parametrize(
    ("level", "written"),
    [
        ("trace", "DEBUG"),
        ("info", "INFO"),
        ("WARN", "WARNING"),
        ("error", "ERROR"),
        ("fatal!", "INFO"),
        (7, "INFO"),
        (None, "INFO"),
    ],
)
def test_a_line_has_the_level_that_its_bee_gave(rig: Rig, level: object, written: str) -> None:
    rig.says(level=level, event="cell.slow", data={"ms": 7})

    (line,) = rig.lines
    assert (line["levelname"], line["msg"]) == (written, "bee.says")
    assert [line[key] for key in ("client", "bee", "sid", "says")] == [
        "c",
        "scout",
        "s",
        "cell.slow",
    ]
    assert line["data"] == {"ms": 7}


def test_both_names_of_the_text_are_read(rig: Rig) -> None:
    rig.says(message="a")
    rig.says(event="b", message="c")
    rig.says(event=7)

    assert [line["says"] for line in rig.lines] == ["a", "b", ""]


def test_a_bee_that_says_too_much_is_cut_short_and_that_is_said(rig: Rig) -> None:
    for _ in range(int(LINES_BURST) + 30):
        rig.says(event="again")
    rig.says("other", event="mine")
    rig.says(event="later", now=1.0 + 1.5 / LINES_PER_SECOND)

    assert len(rig.lines) == LINES_BURST + 2
    assert rig.lines[-2]["says"] == "mine"
    assert rig.lines[-1]["missing"] == 30
    assert rig.dropped("rate") == 30


def test_what_is_too_long_or_unreadable_is_dropped_and_counted(rig: Rig) -> None:
    rig.says(event="x" * BODY_BYTES_MAX)
    rig.logs.write("c", None, Header("log"), b"\xc1", 1.0)

    assert rig.lines == []
    assert (rig.dropped("too-large"), rig.dropped("malformed")) == (1, 1)


def test_a_secret_of_this_hum_is_masked_wherever_a_bee_says_it(rig: Rig) -> None:
    """Features A26: also one that came later, at the latest after a while."""
    rig.secrets.append("canary-of-the-first")
    rig.says(
        event="401: canary-of-the-first", data={"canary-of-the-first": ["canary-of-the-first"]}
    )
    rig.secrets.append("canary-of-the-second")
    rig.says(event="401: canary-of-the-second", now=1.0 + said_logs.SECRETS_SECONDS)

    mask = "*" * 19
    first, second = rig.lines
    assert (first["says"], first["data"]) == (f"401: {mask}", {mask: [mask]})
    assert second["says"] == f"401: {mask}*"


def test_many_bees_together_have_a_bound_too(rig: Rig) -> None:
    for number in range(2 * int(said_logs.LINES_OF_ALL_BURST)):
        rig.says(f"c{number}", event="x")

    assert len(rig.lines) == said_logs.LINES_OF_ALL_BURST


def test_the_bees_that_are_remembered_are_bounded(rig: Rig) -> None:
    for number in range(said_logs.BEES_MAX + 10):
        rig.says(f"c{number}", event="x")

    assert len(rig.logs._shares) == said_logs.BEES_MAX
