"""Flipped bits, cuts and rolled-back segments (reliability F6, F7, F8).

Who finds what: `thehum.core.audit` every flip in a sealed segment, and in the open one up to the
remembered head. In the very last group, when nobody remembers it, a flip looks like a write that
did not finish: there recovery is the judge, and keeps a copy. Controls: a verifier that only
parses, a recovery that believes the last line that parses, a log that remembers nothing.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest
from tests.faults.rigs.chance import chance
from tests.faults.rigs.writer import commit, offer_of, open_log, write
from tests.unit.thehum.chains import AUTHOR, KEY, groups, lines_of, walk

from thehum.core.audit import Author, Report, audit
from thehum.core.groups import Group
from thehum.core.names import segment_name
from thehum.core.recovery import Clean, Damaged, TornTail, scan_segment
from thehum.edge.directory import segments_in

OWNER = Author(hid=AUTHOR, public=KEY.public)
GROUP_SIZES = (2, 1, 3, 1)
TAIL_BYTES = 64 * 1024
NEAR_BYTES, STEP = 4 * 1024, 97
"""The quick form cuts at every byte of a tail so long, and at every so-manieth of a long one."""
EVENT_BYTES_MIN = 300
ROLLBACKS, ROLLBACKS_SOAK = 200, 10_000


def flips(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Each bit flipped once, and the offset of its byte."""
    buffer = bytearray(data)
    for at in range(len(buffer)):
        for bit in range(8):
            buffer[at] ^= 1 << bit
            yield at, bytes(buffer)
            buffer[at] ^= 1 << bit


def group_at(made: list[Group], offset: int) -> Group:
    """The commit group that a byte belongs to."""
    end = 0
    for one in made:
        end += len(one.data)
        if offset < end:
            return one
    raise AssertionError("no such byte")


def sealed(data: bytes) -> Report:
    """Audit `data` as a sealed segment, before one that holds nothing yet."""
    head_seq = sum(GROUP_SIZES)
    segments = {1: data, head_seq + 1: bytes(64)}
    return audit(sorted(segments), segments.__getitem__, OWNER, every=True)


def opened(data: bytes, remembered_seq: int) -> Report:
    """Audit `data` as the open segment."""
    laid_out = data + bytes(64)
    return audit([1], lambda _: laid_out, OWNER, every=True, remembered_seq=remembered_seq)


def misjudged(report: Callable[[bytes], Report]) -> list[tuple[int, str]]:
    """Flips that were not found, not named to their group, or cost a good event before it."""
    data, made = groups(GROUP_SIZES)
    wrong = []
    for at, flipped in flips(data):
        hit, found = group_at(made, at), report(flipped)
        damage = found.damage
        if damage is None:
            wrong.append((at, "not found"))
        elif not hit.first_seq <= damage.seq <= hit.head.seq:
            wrong.append((at, f"named {damage}"))
        elif found.head.seq < hit.first_seq - 1:
            wrong.append((at, f"good only up to {found.head.seq}"))
    return wrong


@pytest.mark.timeout(120)
def test_every_flipped_bit_of_a_sealed_segment_is_named_to_its_group() -> None:
    """`reliability F6`."""
    assert misjudged(sealed) == []


@pytest.mark.timeout(120)
def test_every_flipped_bit_below_the_remembered_head_is_named_to_its_group() -> None:
    """`reliability F6`."""
    assert misjudged(lambda data: opened(data, sum(GROUP_SIZES))) == []


@pytest.mark.timeout(120)
def test_a_flip_in_a_last_group_that_nobody_remembers_is_judged_by_recovery() -> None:
    """Never a silent end: it is a torn tail, kept aside, or damage; what is before it stays."""
    data, made = groups(GROUP_SIZES)
    last = len(data) - len(made[-1].data)
    judged = {TornTail: 0, Damaged: 0}

    for at, flipped in flips(data):
        if at < last:
            continue
        scan = scan_segment(flipped + bytes(64), walk())
        assert scan.head == made[-2].head
        assert not isinstance(scan.finding, Clean)
        assert (scan.finding.start, scan.end) == (last, last)
        judged[type(scan.finding)] += 1

    assert judged[Damaged] > judged[TornTail]  # but for the last line's frame, every byte arrived


def test_control_a_verifier_that_only_parses_misses_most_flips() -> None:
    def parses(data: bytes) -> bool:
        try:
            seqs = [orjson.loads(line)["seq"] for line in lines_of(data)]
        except (orjson.JSONDecodeError, KeyError):
            return False
        return seqs == list(range(1, sum(GROUP_SIZES) + 1))

    data, _ = groups(GROUP_SIZES)
    missed = sum(parses(flipped) for _, flipped in flips(data))

    assert missed > len(data)  # more than one bit of eight


# --- cuts


def segment_of(bytes_min: int) -> tuple[bytes, list[Group]]:
    """A segment a little longer than the tail that is cut, of groups of 1 to 13 events."""
    sizes: list[int] = []
    while sum(sizes) * EVENT_BYTES_MIN < bytes_min:
        sizes.append(1 + len(sizes) * 5 % 13)
    data, made = groups(sizes, filler="x" * 60)
    assert len(data) > bytes_min
    return data, made


def check_cuts(tail_bytes: int, *, step: int = 1, fill: bytes = b"") -> int:
    """Cut the last bytes of a segment at each `step`; `fill` goes where the rest was. Their number.

    What is left must be everything up to the last signed group, and no damage.
    """
    data, made = segment_of(tail_bytes)
    ends, heads = [0], [0]
    for one in made:
        ends.append(ends[-1] + len(one.data))
        heads.append(one.head.seq)
    cuts = range(len(data) - tail_bytes, len(data), step)
    for cut in cuts:
        kept = max(number for number, end in enumerate(ends) if end <= cut)
        scan = scan_segment(data[:cut] + fill, walk())
        assert (scan.head.seq, scan.end) == (heads[kept], ends[kept]), cut
        is_clean = cut == ends[kept] and not fill.strip(b"\0")
        assert isinstance(scan.finding, Clean if is_clean else TornTail), cut
    return len(cuts)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("fill", [b"", bytes(512)], ids=["short", "zeros"])
def test_a_tail_cut_at_any_byte_recovers_to_the_last_signed_group(fill: bytes) -> None:
    """`reliability F7`."""
    assert check_cuts(NEAR_BYTES, fill=fill) == NEAR_BYTES
    assert check_cuts(TAIL_BYTES, step=STEP, fill=fill) > TAIL_BYTES // STEP - 1


@pytest.mark.soak
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize(
    "fill", [b"", bytes(512), b"\xff" * 64, b'{"author":"x"}\n'], ids=["short", "zeros", "ff", "x"]
)
def test_a_tail_cut_at_every_byte_recovers_to_the_last_signed_group(fill: bytes) -> None:
    """`reliability F7`."""
    assert check_cuts(TAIL_BYTES, fill=fill) == TAIL_BYTES


def test_control_believing_the_last_line_that_parses_keeps_what_nobody_signed() -> None:
    data, _ = segment_of(NEAR_BYTES)
    wrong = 0
    for cut in range(len(data) - NEAR_BYTES, len(data)):
        believed = orjson.loads(lines_of(data[:cut])[-1])["seq"]
        wrong += believed != scan_segment(data[:cut], walk()).head.seq

    assert wrong > NEAR_BYTES // 2


# --- rollback


def roll_back(home: Path, times: int, *, forget: bool) -> int:
    """Put older segments beside the current head, so many times; how often that was noticed."""
    dice, root, noticed = chance(), home / "log", 0
    write(root, 1, 6, lambda _: None)
    for turn in range(times):
        old = {seq: (root / segment_name(seq)).read_bytes() for seq in segments_in(root)}
        first = 7 + turn * 2
        log = open_log(root)
        assert log.read_only is None
        for number in (first, first + 1):
            commit(log, [offer_of(number)], lambda _: None)
            if dice.random() < 0.5:
                log.remember()
        log.close()
        now = {seq: (root / segment_name(seq)).read_bytes() for seq in segments_in(root)}
        memory = (root / "seq.bin").read_bytes()
        _put(root, old)
        if forget:
            (root / "seq.bin").unlink()

        again = open_log(root)
        noticed += again.read_only is not None and "was acknowledged" in again.read_only
        again.close()

        _put(root, now)
        (root / "seq.bin").write_bytes(memory)
        (root / "seq.bin").chmod(0o600)
    return noticed


def _put(root: Path, segments: dict[int, bytes]) -> None:
    for seq in segments_in(root):
        (root / segment_name(seq)).unlink()
    for seq, data in segments.items():
        path = root / segment_name(seq)
        path.write_bytes(data)
        path.chmod(0o600)


@pytest.mark.timeout(120)
def test_older_segments_beside_a_newer_head_are_always_noticed(shelf: Path) -> None:
    """`reliability F8`, as far as this folder can tell: its own head may go back with it."""
    assert roll_back(shelf, ROLLBACKS, forget=False) == ROLLBACKS


@pytest.mark.soak
@pytest.mark.timeout(3_600)
def test_older_segments_beside_a_newer_head_are_always_noticed_for_long(shelf: Path) -> None:
    """`reliability F8`."""
    assert roll_back(shelf, ROLLBACKS_SOAK, forget=False) == ROLLBACKS_SOAK


def test_control_a_log_that_remembers_no_head_notices_nothing(shelf: Path) -> None:
    assert roll_back(shelf, 5, forget=True) == 0
