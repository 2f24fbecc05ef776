"""Which key signs, and how the next one takes over."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.thehum.chains import AUTHOR, KEY, START_MS, group, lines_of

from thehum.core.audit import Author, Report, audit, vouch
from thehum.core.bodies import draft
from thehum.core.events import GENESIS, Head
from thehum.core.groups import Group, GroupBuilder
from thehum.core.keys import (
    BadKeyEvent,
    KeyChain,
    KeyEvents,
    commit_body,
    hash_of_key,
    is_key_line,
    read_chain,
    rotate_body,
    statement,
)
from thehum.core.notes import BadNote, Checkpoint, open_checkpoint, origin, sign_checkpoint
from thehum.core.recovery import scan_segment
from thehum.core.verify import Flaw, Walk
from thehum.core.witness import Head as Witnessed
from thehum.core.witness import read_head, with_known_keys
from thehum.core.witnessing import dump_head, read_record
from thrum.canonical import dumps
from thrum.keys import SigningKey

NEXT, THIRD, THIEF = (SigningKey.from_seed(bytes([number]) * 32) for number in (1, 2, 3))
OWNER = Author(hid=AUTHOR, public=KEY.public)


def said(chi: str, body: Any, head: Head, key: SigningKey = KEY, author: str = AUTHOR) -> Group:
    """A group of one event, signed."""
    builder = GroupBuilder(author, key, head)
    text = body if isinstance(body, bytes) else dumps(body)
    builder.add([draft(chi=chi, rid=f"k{head.seq}", sid=None, body=text)], START_MS)
    return builder.seal()


def committed(head: Head = GENESIS) -> Group:
    return said("key-commit", commit_body(KEY, NEXT.public), head)


def change() -> dict[str, object]:
    """The body by which `NEXT` takes over from `KEY`."""
    return rotate_body(AUTHOR, KEY.public, NEXT, THIRD.public)


def rotated_log(
    body: Any = None,
    signed_by: SigningKey = KEY,
    then: SigningKey = NEXT,
    begin: Callable[[], Group] = committed,
) -> list[Group]:
    """A log of four groups: which key comes next, some events, the change of key, some events."""
    first = begin()
    some = group(5, first.head)
    turned = said("key-rotate", body or change(), some.head, signed_by)
    return [first, some, turned, group(4, turned.head, key=then)]


def audited(groups: list[Group], *, every: bool = False, **more: Any) -> Report:
    data = b"".join(one.data for one in groups) + bytes(64)
    return audit([1], lambda _: data, OWNER, every=every, **more)


@pytest.mark.parametrize("every", [False, True])
def test_a_log_goes_on_with_its_next_key(every: bool) -> None:
    report = audited(rotated_log(), every=every, remembered_seq=11)

    assert report.damage is None
    assert report.events == 11
    assert report.keys.public == NEXT.public
    assert [event.seq for event in report.keys.events] == [1, 7]
    assert report.keys.next_hash == hash_of_key(THIRD.public)


def test_it_may_go_on_again() -> None:
    groups = rotated_log()
    fourth = SigningKey.from_seed(b"4" * 32)
    body = rotate_body(AUTHOR, NEXT.public, THIRD, fourth.public)
    groups.append(said("key-rotate", body, groups[-1].head, NEXT))
    groups.append(group(3, groups[-1].head, key=THIRD))

    report = audited(groups, remembered_seq=15)

    assert report.damage is None
    assert report.keys.public == THIRD.public


STOLEN = {
    "to a key of the thief": rotate_body(AUTHOR, KEY.public, THIEF, THIRD.public),
    "without the next key's signature": {**change(), "sig": "00" * 64},
    "without any second signature": {key: value for key, value in change().items() if key != "sig"},
    "signed by the thief for the next key": {
        **change(),
        "sig": THIEF.sign(
            statement(AUTHOR, KEY.public, NEXT.public, hash_of_key(THIRD.public))
        ).hex(),
    },
    "with another key after that": {**change(), "next": hash_of_key(THIEF.public)},
    "to a key that is none": {**change(), "pubkey": "00"},
    "to nothing": {"@via": None},
}


@pytest.mark.parametrize("body", STOLEN.values(), ids=STOLEN)
def test_who_stole_the_key_that_signs_cannot_change_it(body: dict[str, object]) -> None:
    """`reliability A5`: a thief with the identity key alone."""
    report = audited(rotated_log(body, then=THIEF), remembered_seq=11)

    assert report.damage is not None
    assert (report.damage.seq, report.damage.flaw) == (7, Flaw.KEYS)


def test_the_next_key_alone_cannot_take_over() -> None:
    report = audited(rotated_log(signed_by=NEXT), remembered_seq=11)

    assert report.damage is not None
    assert (report.damage.seq, report.damage.flaw) == (7, Flaw.SIGNATURE)


def test_a_log_that_said_nothing_before_has_no_next_key() -> None:
    report = audited(rotated_log(begin=lambda: group(1)), remembered_seq=11)

    assert report.damage is not None
    assert (report.damage.seq, report.damage.flaw) == (7, Flaw.KEYS)


def test_a_log_says_once_which_key_comes_next() -> None:
    first = committed()
    again = said("key-commit", commit_body(KEY, THIEF.public), first.head)

    report = audited([first, again], remembered_seq=2)

    assert report.damage is not None
    assert (report.damage.seq, report.damage.flaw) == (2, Flaw.KEYS)


@pytest.mark.parametrize("every", [False, True])
def test_the_old_key_signs_nothing_behind_the_change(every: bool) -> None:
    report = audited(rotated_log(then=KEY), every=every, remembered_seq=11)

    assert report.damage is not None
    assert report.damage.flaw is Flaw.SIGNATURE
    assert report.damage.group_first_seq == 8


def test_a_change_without_a_signature_of_its_own_is_none() -> None:
    groups = rotated_log()
    sig = b',"sig":"' + lines_of(groups[2].data)[0].partition(b',"sig":"')[2][:1]
    unsigned = groups[2].data.replace(
        groups[2].data[groups[2].data.rindex(b',"sig":"') : groups[2].data.rindex(b',"ts_ms"')],
        b',"sig":null',
    )

    report = audited([*groups[:2], Group(unsigned, 7, groups[2].head), groups[3]])

    assert sig in groups[2].data
    assert report.damage is not None
    assert (report.damage.seq, report.damage.flaw) == (7, Flaw.KEYS)


def test_a_walk_that_begins_later_needs_to_be_told_the_keys() -> None:
    groups = rotated_log()
    keys = audited(groups).keys
    data = groups[3].data
    told = Walk(AUTHOR, KEY.public, groups[2].head, later=keys.events)
    untold = Walk(AUTHOR, KEY.public, groups[2].head)

    assert told.take(lines_of(data)) is None
    assert told.check_signature() is None
    assert untold.take(lines_of(data)) is None
    assert untold.check_signature() is Flaw.SIGNATURE


def test_a_walk_that_goes_back_forgets_what_it_had_not_met_yet() -> None:
    groups = rotated_log()
    walk = Walk(AUTHOR, KEY.public)
    assert walk.take(lines_of(b"".join(one.data for one in groups))) is None

    walk.head = groups[1].head

    assert walk.keys.public == KEY.public
    assert walk.take(lines_of(groups[2].data)) is None
    assert walk.keys.public == NEXT.public


@pytest.mark.parametrize("cut", range(1, 5))
def test_a_start_knows_the_key_up_to_where_the_log_goes(cut: int) -> None:
    groups = rotated_log()[:cut]
    data = b"".join(one.data for one in groups) + bytes(4096)

    scan = scan_segment(data, Walk(AUTHOR, KEY.public))

    assert scan.head == groups[-1].head
    assert scan.keys.public == (NEXT if cut > 2 else KEY).public


def test_a_change_of_key_that_was_torn_did_not_happen() -> None:
    groups = rotated_log()[:3]
    data = b"".join(one.data for one in groups)

    scan = scan_segment(data[:-200] + bytes(200 + 4096), Walk(AUTHOR, KEY.public))

    assert scan.head == groups[1].head
    assert scan.keys.public == KEY.public


def test_a_checkpoint_counts_when_its_key_signed_a_log_of_that_size() -> None:
    keys = audited(rotated_log()).keys

    def opens(size: int, key: SigningKey) -> bool:
        note = sign_checkpoint(Checkpoint(origin(AUTHOR), size, bytes(32)), key)
        try:
            return open_checkpoint(note, public=KEY.public, later=keys.events).size == size
        except BadNote:
            return False

    assert [size for size in range(1, 12) if opens(size, KEY)] == [1, 2, 3, 4, 5, 6]
    assert [size for size in range(1, 12) if opens(size, NEXT)] == list(range(1, 12))
    assert not any(opens(size, THIEF) for size in range(1, 12))


def test_the_events_alone_tell_the_keys() -> None:
    keys = audited(rotated_log()).keys

    assert read_chain(KEY.public, keys.lines) == keys
    assert keys.continues(read_chain(KEY.public, keys.lines[:1]))
    assert not read_chain(KEY.public, keys.lines[:1]).continues(keys)
    assert [is_key_line(line.encode()) for line in keys.lines] == [True, True]
    assert not is_key_line(lines_of(group(1).data)[0])
    assert KeyChain(KEY.public).lines == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda lines: lines[1:],
        lambda lines: [lines[1], lines[0]],
        lambda lines: [lines[0], lines[0]],
        lambda lines: [*lines, lines[1]],
        lambda lines: [lines[0], lines[1].replace('"seq":7', '"seq":8')],
        lambda lines: [lines[0].replace(AUTHOR[-8:], "00000000")],
        lambda lines: [7],
        lambda lines: ["{}"],
        lambda lines: [lines_of(group(1).data)[0].decode()],
    ],
)
def test_events_that_do_not_follow_tell_nothing(spoil: Callable[[list[str]], list[Any]]) -> None:
    lines = audited(rotated_log()).keys.lines

    with pytest.raises(BadKeyEvent):
        read_chain(KEY.public, spoil(lines))


def test_a_segment_is_vouched_for_by_the_key_that_signed_then() -> None:
    groups = rotated_log()
    keys = audited(groups).keys
    owner = Author(hid=AUTHOR, public=KEY.public, later=keys.events)

    before = vouch(groups[0].data + groups[1].data, OWNER, 1, 6)
    change_itself = vouch(groups[2].data, owner, 7, 7)
    behind = vouch(groups[3].data, owner, 8, 11)
    untold = vouch(groups[3].data, OWNER, 8, 11)

    assert before is None  # it names a key, so it is walked
    assert change_itself is None
    assert untold is None
    assert behind is not None
    assert behind.follows(groups[2].head, keys)
    assert not behind.follows(groups[2].head, keys.upto(6))


# --- witnesses


def head_of_size(size: int, key: SigningKey, later: KeyEvents) -> Witnessed:
    note = sign_checkpoint(Checkpoint(origin(AUTHOR), size, bytes([size]) * 32), key)
    return read_head(note, public=KEY.public, later=later)


def test_a_witness_that_saw_the_change_signs_for_nobody_with_the_old_key() -> None:
    """`reliability A5`: what the thief shows leaves the change of key out."""
    events = audited(rotated_log()).keys.events
    held = head_of_size(9, NEXT, events)
    of_the_thief = head_of_size(12, KEY, ())

    with pytest.raises(BadNote, match="no signature"):
        with_known_keys(held, of_the_thief)
    assert with_known_keys(held, head_of_size(12, NEXT, events)).checkpoint.size == 12
    assert with_known_keys(head_of_size(5, KEY, ()), held) == held


def test_a_witness_does_not_take_other_keys_for_the_same_log() -> None:
    events = audited(rotated_log()).keys.events
    other = said("key-commit", commit_body(KEY, THIEF.public), GENESIS)
    forged = KeyChain(KEY.public).grown(lines_of(other.data)[0])

    with pytest.raises(BadNote, match="other keys"):
        with_known_keys(head_of_size(9, NEXT, events), head_of_size(12, KEY, forged.events))


def test_what_is_held_of_a_log_names_its_keys() -> None:
    events = audited(rotated_log()).keys.events
    held = head_of_size(9, NEXT, events)

    fields = dump_head(held, KEY.public)

    assert read_record(fields) == held
    with pytest.raises(BadNote):
        read_record({**fields, "keys": []})
