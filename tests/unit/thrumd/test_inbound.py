"""What becomes of a line from a client."""

import orjson
import pytest

from thrum.chi import THRUM_VERSION, Chi, LinkChi
from thrum.frames import BODY_BYTES_MAX
from thrum.tones import Body, Tone
from thrumd.core import inbound
from thrumd.core.inbound import NAME_CHARS_MAX, Kept, Reason, decide

NOW = 1_000
HID = "wbee_" + "0" * 64


def line(**flat: object) -> bytes:
    return orjson.dumps(flat)


def reply_of(kept: object) -> Body | None:
    assert isinstance(kept, Kept)
    body: Body | None = orjson.loads(kept.reply) if kept.reply else None
    return body


def test_a_tone_is_forwarded_as_it_came() -> None:
    decision = decide(line(chi="prompt", rid="r", sid="s", content="hi", unknown=[1]), NOW)

    assert decision == Tone(chi="prompt", rid="r", sid="s", body={"content": "hi", "unknown": [1]})


def test_a_tone_without_rid_is_forwarded_without_one() -> None:
    assert decide(line(chi="prompt", sid="s"), NOW) == Tone(chi="prompt", sid="s")


@pytest.mark.parametrize("chi", sorted(set(Chi) - {Chi.ECHO, Chi.LOG}))
def test_every_other_known_chi_is_forwarded(chi: Chi) -> None:
    assert isinstance(decide(line(chi=chi, rid="r"), NOW), Tone)


def test_a_blank_line_means_nothing() -> None:
    assert decide(b"\r", NOW) is None


@pytest.mark.parametrize("garbage", [b"x", b"[1]", b"7", b'{"chi":""}', b"\xff", b'{"chi":1}'])
def test_garbage_is_dropped_without_a_word(garbage: bytes) -> None:
    """Thrum 15.5."""
    assert decide(garbage, NOW) == Kept(Reason.MALFORMED)


@pytest.mark.parametrize(
    ("dusk", "is_dead"),
    [(999, True), (1000, False), (1001, False), (999.0, False), (-1, False), ("999", False)],
)
def test_only_a_whole_dusk_before_now_kills(dusk: object, is_dead: bool) -> None:
    """Thrum 4.4."""
    decision = decide(line(chi="prompt", rid="r", dusk=dusk), NOW)

    assert isinstance(decision, Kept) is is_dead


def test_a_tone_past_its_dusk_gets_a_negative_echo() -> None:
    """Thrum 15.4."""
    decision = decide(line(chi="prompt", rid="r", dusk=1), NOW)

    assert reply_of(decision) == {"chi": "echo", "rid": "r", "ok": False, "error": "past dusk"}


@pytest.mark.parametrize("chi", ["future-chi", *LinkChi])
def test_an_unknown_chi_is_echoed_and_ignored(chi: str) -> None:
    """Thrum 15.6; the tones of the bus mean nothing at the door."""
    decision = decide(line(chi=chi, rid="r"), NOW)

    assert isinstance(decision, Kept)
    assert decision.reason is Reason.UNKNOWN_CHI
    assert reply_of(decision) == {"chi": "echo", "rid": "r", "ok": True}


@pytest.mark.parametrize("flat", [{"chi": "new"}, {"chi": "prompt", "dusk": 1}, {"chi": "credit"}])
def test_without_rid_there_is_no_echo(flat: Body) -> None:
    assert reply_of(decide(line(**flat), NOW)) is None


def test_receipts_are_never_receipted() -> None:
    assert decide(line(chi="echo", rid="r", ok=True), NOW) == Kept(Reason.RECEIPT)


@pytest.mark.parametrize("key", ["chi", "rid", "sid", "from", "to"])
def test_a_name_of_absurd_length_is_refused(key: str) -> None:
    decision = decide(line(**{"chi": "prompt", key: "x" * (NAME_CHARS_MAX + 1)}), NOW)

    reply = reply_of(decision)
    assert reply is not None
    assert reply["qualifier"] == "tone.malformed"


def test_a_body_that_grows_too_large_for_the_bus_is_refused() -> None:
    floats = b"1.5," * (BODY_BYTES_MAX // 9 - 1_250_000)
    assert isinstance(decide(b'{"chi":"prompt","a":[' + floats + b"1]}", NOW), Kept)

    text = line(chi="prompt", rid="r", content="x" * BODY_BYTES_MAX)
    reply = reply_of(decide(text, NOW))
    assert reply is not None
    assert (reply["qualifier"], reply["rid"]) == ("frame.too-large", "r")

    assert isinstance(decide(line(chi="prompt", content="x" * (BODY_BYTES_MAX - 64)), NOW), Tone)


def test_the_first_breath_is_what_probes_expect() -> None:
    assert orjson.loads(inbound.first_breath()) == {
        "chi": "breath",
        "from": "daemon",
        "sessions": [],
        "protoVersion": THRUM_VERSION,
    }


@pytest.mark.parametrize(
    ("flat", "found"),
    [
        ({"hive": "a", "hid": HID}, 0),
        ({"hive": "a"}, 1),
        ({"from": "a", "hid": "nonsense"}, 1),
        ({"hive": "a", "hid": HID, "protoVersion": "9.0.0"}, 1),
        ({"hive": "a", "hid": HID, "protoVersion": ""}, 0),
        ({"hive": "a", "hid": 7, "protoVersion": "0.1"}, 2),
        ({"bee": ["worker"], "sid": "hum-doctor-probe"}, 0),
    ],
)
def test_a_hello_is_warned_of_but_never_refused(flat: Body, found: int) -> None:
    hello = decide(line(chi="hello", **flat), NOW)

    assert isinstance(hello, Tone)
    assert len(inbound.concerns(hello)) == found
