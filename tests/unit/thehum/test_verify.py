"""Whatever changes in a chain is detected and named. `reliability F6`."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.thehum.chains import AUTHOR, KEY, START_MS, group, groups, lines_of, walk

from thehum.core.bodies import draft
from thehum.core.events import GENESIS, Head, split_line
from thehum.core.groups import GroupBuilder, Signing
from thehum.core.verify import Damage, Flaw, Walk, start_of, walk_lines
from thrum.canonical import dumps
from thrum.ids import hid_of
from thrum.keys import SigningKey

DATA, GROUPS = groups([3, 1, 4])
LINES = lines_of(DATA)
"""Eight events: signed are 3, 4 and 8."""


def verdict(lines: list[bytes], *, every: bool = True) -> Damage | None:
    return walk_lines(walk(every=every), lines)


def named(lines: list[bytes], *, every: bool = True) -> tuple[int, Flaw] | None:
    damage = verdict(lines, every=every)
    return None if damage is None else (damage.seq, damage.flaw)


def replaced(seq: int, old: bytes, new: bytes) -> list[bytes]:
    """The lines with one change in the event `seq`."""
    changed = LINES[seq - 1].replace(old, new, 1)
    assert changed != LINES[seq - 1]
    return [*LINES[: seq - 1], changed, *LINES[seq:]]


def flipped_hex(line: bytes, key: bytes) -> bytes:
    at = line.index(b'"' + key + b'":"') + len(key) + 4
    return line[:at] + (b"0" if line[at : at + 1] != b"0" else b"1") + line[at + 1 :]


@pytest.mark.parametrize("every", [False, True])
def test_a_good_chain_verifies_and_the_head_is_its_last_event(every: bool) -> None:
    position = walk(every=every)

    assert walk_lines(position, LINES) is None
    assert position.head == GROUPS[-1].head
    assert position.proven_seq == 8
    assert position.signatures == (3 if every else 1)


def test_a_chain_signed_throughout_verifies() -> None:
    data, made = groups([2, 3], signing=Signing.EVERY)
    position = walk(every=True)

    assert walk_lines(position, lines_of(data)) is None
    assert position.signatures == 5
    assert position.head == made[-1].head


def test_the_empty_chain_verifies() -> None:
    assert verdict([]) is None


@pytest.mark.parametrize("seq", range(1, 9))
@pytest.mark.parametrize("every", [False, True])
def test_a_changed_body_is_named_by_its_seq(seq: int, every: bool) -> None:
    found = named(replaced(seq, b'"delta":"token', b'"delta":"tokem'), every=every)

    last_in_chain = seq == 8
    assert found == (seq, Flaw.SIGNATURE if last_in_chain else Flaw.CONTENT)


@pytest.mark.parametrize("seq", range(1, 9))
def test_a_changed_prev_hash_is_named_by_its_seq(seq: int) -> None:
    lines = [*LINES[: seq - 1], flipped_hex(LINES[seq - 1], b"prev_hash"), *LINES[seq:]]

    assert named(lines) == (seq, Flaw.PREV_HASH)


@pytest.mark.parametrize("seq", [3, 4, 8])
def test_a_changed_signature_is_named_by_its_seq(seq: int) -> None:
    lines = [*LINES[: seq - 1], flipped_hex(LINES[seq - 1], b"sig"), *LINES[seq:]]

    assert named(lines) == (seq, Flaw.SIGNATURE)


@pytest.mark.parametrize("every", [False, True])
def test_a_signature_in_capital_letters_is_another_line(every: bool) -> None:
    _, sig = split_line(LINES[7])
    assert sig is not None

    found = named([*LINES[:7], LINES[7].replace(sig.encode(), sig.upper().encode())], every=every)

    assert found == (8, Flaw.FORM)


def test_a_changed_signature_inside_is_covered_by_a_later_one_unless_all_are_checked() -> None:
    lines = [*LINES[:2], flipped_hex(LINES[2], b"sig"), *LINES[3:]]

    assert named(lines, every=False) is None
    assert named(lines, every=True) == (3, Flaw.SIGNATURE)


def test_a_missing_event_is_named() -> None:
    assert named([*LINES[:4], *LINES[5:]]) == (5, Flaw.SEQ)


def test_two_events_that_changed_places_are_named() -> None:
    assert named([*LINES[:4], LINES[5], LINES[4], *LINES[6:]]) == (5, Flaw.SEQ)


def test_an_event_that_is_there_twice_is_named() -> None:
    assert named([*LINES[:5], LINES[4], *LINES[5:]]) == (6, Flaw.SEQ)


def test_time_that_goes_back_is_named() -> None:
    first = group(2, at_ms=START_MS)
    late = Head(first.head.seq, first.head.hash, 0)
    second = group(2, late, at_ms=START_MS - 1)

    assert named(lines_of(first.data + second.data)) == (3, Flaw.TIME)


def test_another_author_is_named() -> None:
    lines = replaced(2, AUTHOR.encode(), AUTHOR[:-1].encode() + b"0")

    assert named(lines) == (2, Flaw.AUTHOR)


def test_a_chain_signed_by_another_key_is_refused() -> None:
    other = SigningKey.from_seed(bytes(32))
    forged = lines_of(group(3, key=other).data)

    assert named(forged) == (3, Flaw.SIGNATURE)


def test_an_author_who_is_not_the_hid_of_the_key_is_refused() -> None:
    other = str(hid_of("humd", SigningKey.from_seed(bytes(32)).public))

    damage = walk_lines(Walk(other, KEY.public), lines_of(group(1, author=other).data))

    assert damage is not None
    assert damage.flaw is Flaw.KEY


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"seq":2', b'"seq": 2'),
        (b'"seq":2', b'"seq":2.0'),
        (b'"seq":2', b'"seq":true'),
        (b'"chi":"chunk"', b'"chi":7'),
        (b'"rid":"r2"', b'"rid":null'),
        (b'"sid":"hum-X"', b'"sid":5'),
        (b'"sig":null', b'"sig":""'),
        (b'"delta":"token 2"', b'"delta":"\\u0074oken 2"'),
        (b'"delta":"token 2"', b'"delta":"x","delta":"token 2"'),
        (b'{"delta":"token 2"}', b'{"z":1,"delta":"token 2"}'),
        (b'{"delta":"token 2"}', b"[]"),
        (b'"body":', b'"bodz":'),
        (b"}", b""),
    ],
)
def test_a_line_in_another_form_is_named(old: bytes, new: bytes) -> None:
    found = named(replaced(2, old, new))

    assert found == (2, Flaw.FORM)


def test_a_float_may_be_laid_out_by_somebody_elses_rules() -> None:
    line = lines_of(group(1, cost=1e16, rate=1.5e-7).data)[0]
    canonical, _ = split_line(line)
    other = canonical.replace(b"1e16", b"10000000000000000.0").replace(b"1.5e-7", b"1.5E-07")
    tail = b',"ts_ms":%d}' % START_MS
    sig = b',"sig":"' + KEY.sign(other).hex().encode() + b'"'

    assert named([other.replace(tail, sig + tail)]) is None
    assert named([line]) is None


def test_a_body_as_deep_as_it_gets_verifies() -> None:
    body: dict[str, object] = {}
    for _ in range(252):
        body = {"a": body}
    builder = GroupBuilder(AUTHOR, KEY, GENESIS)
    builder.add([draft(chi="chunk", rid="r", sid=None, body=dumps(body))], 1)

    assert named(lines_of(builder.seal().data)) is None


def test_a_walk_may_begin_where_older_segments_are_gone() -> None:
    position = walk(start_of(4))

    assert walk_lines(position, LINES[3:]) is None
    assert position.head == GROUPS[-1].head


def test_a_walk_from_the_first_event_insists_on_its_prev_hash() -> None:
    lines = [flipped_hex(LINES[0], b"prev_hash"), *LINES[1:]]

    assert named(lines, every=False) == (1, Flaw.PREV_HASH)


def test_damage_names_the_group_it_is_in() -> None:
    damage = verdict(replaced(6, b"token 6", b"token 7"))

    assert damage == Damage(6, Flaw.CONTENT, 5)
    assert str(damage) == "event 6: the content is not what was hashed and signed"


@given(st.integers(0, len(DATA) * 8 - 1))
def test_every_flipped_bit_is_detected(bit: int) -> None:
    """`reliability F6`."""
    changed = bytearray(DATA)
    changed[bit // 8] ^= 1 << bit % 8
    touched = DATA.count(b"\n", 0, bit // 8) + 1

    damage = verdict(bytes(changed).split(b"\n")[:-1])

    if DATA[bit // 8 : bit // 8 + 1] == b"\n" and touched == len(LINES):
        return  # the last newline: the line is not whole any more, which recovery judges
    assert damage is not None
    assert damage.seq == touched


@given(st.data())
def test_every_mutation_of_the_lines_is_detected(data: st.DataObject) -> None:
    lines = list(LINES)
    kind = data.draw(st.sampled_from(["drop", "swap", "repeat", "insert", "cut", "rewrite"]))
    at = data.draw(st.integers(0, len(lines) - 2))
    other = data.draw(st.integers(0, len(lines) - 2).filter(lambda index: index != at))
    match kind:
        case "drop":
            del lines[at]
        case "swap":
            lines[at], lines[other] = lines[other], lines[at]
        case "repeat":
            lines.insert(other, lines[at])
        case "insert":
            lines.insert(at, data.draw(st.binary(max_size=20).filter(lambda raw: b"\n" not in raw)))
        case "cut":
            lines[at] = lines[at][: data.draw(st.integers(0, len(lines[at]) - 1))]
        case "rewrite":
            fields = orjson.loads(lines[at])
            key = data.draw(st.sampled_from(["rid", "chi", "ts_ms", "sid", "seq", "prev_hash"]))
            fields[key] = {"ts_ms": fields["ts_ms"] - 1, "seq": fields["seq"] + 1}.get(key, "other")
            lines[at] = dumps(fields)

    assert verdict(lines) is not None
