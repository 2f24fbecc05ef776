"""Log lines: one JSON object each, nothing that steers a terminal, no secret (reliability I8)."""

import logging
import os
import re
from collections.abc import Callable, Iterator

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nest import logs
from thrum.redaction import REDACTED, is_secret_name

Lines = Callable[[], list[dict[str, object]]]
log = logging.getLogger("test")


@pytest.fixture
def raw() -> Iterator[Callable[[], bytes]]:
    """Logging set up onto a pipe; a call reads what was written."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    read, write = os.pipe()
    os.set_blocking(read, False)
    logs.setup("front", "info", descriptor=write)
    yield lambda: os.read(read, 1 << 20)
    root.handlers[:] = before
    root.setLevel(level)
    logging.captureWarnings(False)
    os.close(read)
    os.close(write)


@pytest.fixture
def lines(raw: Callable[[], bytes]) -> Lines:
    return lambda: [orjson.loads(line) for line in raw().splitlines()]


def test_a_line_has_time_level_service_event_and_the_extra_fields(lines: Lines) -> None:
    log.warning("bus.reset", extra={"reason": "queue.overflow", "waiting": 3})

    (line,) = lines()
    assert list(line) == ["ts", "level", "service", "event", "reason", "waiting"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(line.pop("ts")))
    assert line == {
        "level": "warning",
        "service": "front",
        "event": "bus.reset",
        "reason": "queue.overflow",
        "waiting": 3,
    }


def test_a_record_below_the_level_is_not_written(lines: Lines) -> None:
    log.debug("quiet")
    log.info("said")

    assert [line["event"] for line in lines()] == ["said"]


def test_a_foreign_text_cannot_start_a_line_or_steer_a_terminal(raw: Callable[[], bytes]) -> None:
    hostile = "\r\n{}\x1b[2J\x9b2J\x7f\u2028\u202e\x00"

    log.info("tone.refused", extra={"text": hostile, hostile: 1})

    written = raw()
    assert written.count(b"\n") == 1
    assert orjson.loads(written)["text"] == hostile
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e]", written.decode())


def test_fields_cannot_pose_as_ours(lines: Lines) -> None:
    log.info("real", extra={"event": "posed", "level": "posed", "ts": "posed"})

    (line,) = lines()
    assert (line["event"], line["level"]) == ("real", "info")
    assert line["event_"] == "posed"


def test_a_traceback_is_one_field(lines: Lines) -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        log.exception("turn.failed")

    (line,) = lines()
    assert "ValueError: broken" in str(line["traceback"])


@pytest.mark.parametrize(
    "name",
    [
        "key", "api_key", "apiKey", "API_KEY", "x-api-key", "token", "accessToken", "tokens",
        "secret", "client_secret", "Authorization", "password", "cookie", "seed",
    ],
)  # fmt: skip
def test_a_field_with_a_secret_name_is_not_shown(lines: Lines, name: str) -> None:
    log.info("asked", extra={name: "canary", "headers": {name: ["canary"]}})

    (line,) = lines()
    assert line[name] == REDACTED
    assert line["headers"] == {name: REDACTED}


@pytest.mark.parametrize("name", ["keys_max", "token_count", "pubkey", "monkey", "key_file"])
def test_a_field_that_only_resembles_a_secret_is_shown(name: str) -> None:
    assert not is_secret_name(name)


def test_counts_of_tokens_are_shown(lines: Lines) -> None:
    log.info("turn.finished", extra={"max_tokens": 5, "token": None})

    (line,) = lines()
    assert (line["max_tokens"], line["token"]) == (5, None)


def test_a_known_secret_is_cut_out_everywhere(raw: Callable[[], bytes]) -> None:
    logs.register_secret("canary-0123456789")

    log.info("url %s", "http://x/d/canary-0123456789/")
    log.info("nested", extra={"a": [{"b": ("canary-0123456789",)}], "canary-0123456789": 1})
    try:
        raise ValueError("with canary-0123456789")
    except ValueError:
        log.exception("failed")

    assert b"canary" not in raw()


def test_a_known_secret_that_begins_another_leaves_nothing_of_it(raw: Callable[[], bytes]) -> None:
    logs.register_secret("canary-begins")
    logs.register_secret("canary-begins-and-goes-on")

    log.info("url canary-begins-and-goes-on", extra={"text": "canary-begins"})

    written = raw()
    assert b"canary" not in written
    assert b"goes-on" not in written


def test_a_short_value_is_no_known_secret(lines: Lines) -> None:
    logs.register_secret("a")

    log.info("a plain text")

    assert [line["event"] for line in lines()] == ["a plain text"]


def test_a_line_is_bounded(raw: Callable[[], bytes]) -> None:
    deep: list[object] = []
    deep.append(deep)

    log.info("big", extra={"text": "x" * 100_000, "list": [1] * 10_000, "deep": deep})

    assert len(raw()) < logs.TEXT_CHARS_MAX + 2_000


def test_a_field_of_many_parts_is_bounded(raw: Callable[[], bytes]) -> None:
    wide = [["x" * 1_000] * logs.ITEMS_MAX] * logs.ITEMS_MAX

    log.info("big", extra={"wide": wide, "named": {"a": wide}})

    assert len(raw()) < 2 * logs.FIELD_BYTES_MAX


def test_of_a_long_traceback_the_end_is_shown_which_says_what_happened(lines: Lines) -> None:
    try:
        try:
            raise KeyError("x" * logs.TEXT_CHARS_MAX)
        except KeyError as problem:
            raise ValueError("what happened") from problem
    except ValueError:
        log.exception("turn.failed")

    (line,) = lines()
    assert str(line["traceback"]).endswith("ValueError: what happened")
    assert len(str(line["traceback"])) <= logs.TEXT_CHARS_MAX + 1


class Paced:
    """A handler on a pipe, with a clock of its own."""

    def __init__(self) -> None:
        self.now = 5.0
        self._read, self._write = os.pipe()
        self._handler = logs.DescriptorHandler(self._write, clock=lambda: self.now)
        self._handler.setFormatter(logs.JsonLines("front"))

    def says(self, event: str) -> list[dict[str, object]]:
        """What a record becomes."""
        os.write(self._write, b"\n")  # so that there is something to read
        self._handler.handle(logging.makeLogRecord({"name": "test", "msg": event}))
        return [orjson.loads(line) for line in os.read(self._read, 1 << 16).splitlines() if line]

    def close(self) -> None:
        os.close(self._read)
        os.close(self._write)


@pytest.fixture
def paced() -> Iterator[Paced]:
    paced = Paced()
    yield paced
    paced.close()


def test_an_event_that_comes_too_often_is_cut_short_and_others_are_not(paced: Paced) -> None:
    written = [paced.says("door.hello") for _ in range(int(logs.LINES_BURST) + 3)]
    (other,) = paced.says("door.cut")
    paced.now += 1
    (last,) = paced.says("door.hello")

    assert written.count([]) == 3
    assert "missing" not in other
    assert last["missing"] == 3


def test_the_events_whose_share_is_known_are_bounded(paced: Paced) -> None:
    for _ in range(int(logs.LINES_BURST)):
        paced.says("door.hello")
    assert paced.says("door.hello") == []

    for number in range(logs.EVENTS_MAX):
        paced.says(f"event {number}")

    (anew,) = paced.says("door.hello")
    assert "missing" not in anew


def test_a_field_that_cannot_be_rendered_never_breaks_the_caller(lines: Lines) -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError

    log.info("odd", extra={"field": Broken()})

    (line,) = lines()
    assert (line["event"], line["reason"]) == ("logs.unwritable", "RuntimeError")


def test_a_reader_that_went_away_never_breaks_the_caller() -> None:
    read, write = os.pipe()
    os.close(read)
    handler = logs.DescriptorHandler(write)
    handler.setFormatter(logs.JsonLines("front"))

    assert handler.handle(logging.makeLogRecord({"msg": "lost"}))

    os.close(write)


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(st.characters(exclude_categories=()))
        | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
        max_leaves=20,
    )
)
def test_any_field_makes_a_line_that_reads_as_json(value: object) -> None:
    record = logging.makeLogRecord({"msg": "event", "field": value})

    line = logs.JsonLines("front").format(record)

    assert isinstance(orjson.loads(line), dict)
    assert "\n" not in line
