"""The event listener piece by piece; tests/process has it under supervisord."""

import orjson
import pytest

from orch.listener import line, record, take

EXITED = "processname:hum-scout groupname:hum-scout from_state:RUNNING expected:0 pid:42"


def wire(name: str, payload: str) -> bytes:
    return f"ver:3.0 eventname:{name} len:{len(payload)}\n{payload}".encode()


def test_an_event_is_taken_once_it_is_whole() -> None:
    whole = wire("PROCESS_STATE_EXITED", EXITED)
    unread = bytearray()
    taken = []

    for byte in whole * 2:
        unread.append(byte)
        taken += [event for event in [take(unread)] if event]

    assert [payload for _, payload in taken] == [EXITED, EXITED]
    assert unread == b""


@pytest.mark.parametrize("junk", [b"\n", b"len:-1\n", b"len:x\n", b"len:99999999\n", b"x" * 70_000])
def test_what_is_no_event_ends_the_listener(junk: bytes) -> None:
    with pytest.raises(ValueError):
        take(bytearray(junk))


def test_a_change_of_state_becomes_one_record() -> None:
    header, payload = take(bytearray(wire("PROCESS_STATE_EXITED", EXITED))) or ({}, "")

    assert record(header, payload, at=7.25) == {
        "ts": "1970-01-01T00:00:07.250Z",
        "level": "warning",
        "service": "orch",
        "event": "process.state",
        "process": "hum-scout",
        "state": "EXITED",
        "was": "RUNNING",
        "pid": 42,
        "expected": False,
    }


def test_an_expected_change_is_information() -> None:
    event = {"eventname": "PROCESS_STATE_RUNNING"}

    found = record(event, "processname:a from_state:STARTING pid:1", at=0.0)

    assert found is not None
    assert found["level"] == "info"


def test_a_record_is_one_line_of_json() -> None:
    found: dict[str, object] = {"a": 'x"\\\n\x1bé', "b": True, "c": 7}

    written = line(found)

    assert written.endswith("}\n")
    assert written.count("\n") == 1
    assert orjson.loads(written) == {"a": 'x"\\???', "b": True, "c": 7}


def test_other_events_are_not_recorded() -> None:
    assert record({"eventname": "TICK_5"}, "when:1", at=0.0) is None
