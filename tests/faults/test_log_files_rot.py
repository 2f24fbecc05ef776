"""A bit flipped in any file of a log's folder, judged by `hum thehum verify` (reliability F6).

The log has plain, compressed and open segments, bodies beside it and a signed root. What the owner
must hear of is named by its event where it belongs to one. Three files prove nothing, and a flip
in them is mended or does no harm: the writer's lock, the hashes that are computed anew, and the
remembered head, which may be behind as after a crash, but never ahead. Control: the same walk over
the segments alone.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner
from tests.faults.rigs.chance import chance, tell
from tests.faults.rigs.writer import open_log, write
from tests.unit.thehum.chains import AUTHOR, KEY

from hum.thehum_verbs import thehum
from nest.paths import Paths
from thehum.core import names
from thehum.core.audit import Author, audit
from thehum.edge.checkpoints import Checkpoints
from thehum.edge.directory import segments_in
from thehum.edge.sealed import read_segment

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

BATCHES, PACKED = 26, 2
SEGMENT_BYTES = 4 * 1024
FLIPS_A_FILE = 15
"""The quick form; the long one flips a bit of every byte."""
HARMLESS = {"lock", names.TILES_DIR, "seq.bin"}


@dataclass
class Rot:
    """The files of a log, and where flips of them count."""

    root: Path

    def files(self) -> Iterator[tuple[Path, int]]:
        """Each file that proves something, and how many of its bytes are in use."""
        for path in sorted(self.root.rglob("*")):
            if path.is_file() and path.relative_to(self.root).parts[0] not in HARMLESS:
                yield path, len(path.read_bytes().rstrip(b"\0"))


@pytest.fixture
def rot(home: Path, monkeypatch: pytest.MonkeyPatch) -> Rot:
    monkeypatch.setattr(os, "cpu_count", lambda: 1)  # forks would only cost time here
    root = Paths.from_environment(os.environ).thehum
    root.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write(root, 1, BATCHES, lambda _: None, packs=PACKED, segment_bytes=SEGMENT_BYTES)
    log = open_log(root, segment_bytes=SEGMENT_BYTES)
    Checkpoints(log, root, now=0).finish()
    log.close()
    return Rot(root)


def verified() -> tuple[int, str]:
    """The exit status of `hum thehum verify --full`, and what it says."""
    result = CliRunner().invoke(thehum, ["verify", "--full"], standalone_mode=False)
    if result.exception is not None:
        return 1, str(result.exception)
    return int(result.return_value), result.output


def flipped(path: Path, at: int, bit: int) -> tuple[int, str]:
    """What is said of the folder while one bit of a file is flipped."""
    good = path.read_bytes()
    changed = bytearray(good)
    changed[at] ^= 1 << bit
    path.write_bytes(changed)
    try:
        return verified()
    finally:
        path.write_bytes(good)


def events_of(path: Path, root: Path) -> range | None:
    """The events that a file is about; None for one that is about all of them."""
    firsts = segments_in(root)
    first = names.segment_seq(path.name)
    if first is None:
        return None
    later = [seq for seq in firsts if seq > first]
    return range(first, later[0] if later else 1 << 30)


def misjudged(rot: Rot, dice: Random, flips_a_file: int | None) -> tuple[int, list[str]]:
    """How many flips there were, and those that nobody hears of, or of the wrong event."""
    count, wrong = 0, []
    for path, length in rot.files():
        places = (
            range(length)
            if flips_a_file is None
            else range(0, length, max(length // flips_a_file, 1))
        )
        for at in places:
            count += 1
            status, said = flipped(path, at, dice.randrange(8))
            name, events = path.relative_to(rot.root), events_of(path, rot.root)
            if status == 0:
                wrong.append(f"{name} at {at}: not found")
            elif events is not None and not named(said, events):
                wrong.append(f"{name} at {at}: {said!r}")
    return count, wrong


def named(said: str, events: range) -> bool:
    """Whether the damage is said to be at one of these events."""
    match = re.search(r"damaged at event ([0-9,]+):", said)
    return match is not None and int(match[1].replace(",", "")) in events


def test_the_folder_is_good_and_has_every_kind_of_file(rot: Rot) -> None:
    found = [path.relative_to(rot.root).as_posix() for path, _ in rot.files()]

    assert verified()[0] == 0
    assert sum(name.endswith(".packed") for name in found) == PACKED
    assert sum(name.endswith(".ndjson") for name in found) > 1
    assert any(name.startswith(names.BODIES_DIR) for name in found)
    assert {"author.json", names.CHECKPOINT} <= set(found)


def test_a_flipped_bit_in_any_file_that_proves_something_is_found_and_placed(rot: Rot) -> None:
    """`reliability F6`."""
    _, wrong = misjudged(rot, chance(), FLIPS_A_FILE)

    assert wrong == []


@pytest.mark.soak
@pytest.mark.timeout(3_600)
def test_a_flipped_bit_of_every_byte_of_every_file_is_found_and_placed(rot: Rot) -> None:
    """`reliability F6`."""
    count, wrong = misjudged(rot, chance(), None)

    tell("bits flipped in the files of a log", flips=count, misjudged=len(wrong))
    assert wrong == []


def test_control_a_walk_over_the_segments_alone_misses_the_other_files(rot: Rot) -> None:
    owner = Author(hid=AUTHOR, public=KEY.public)
    (body, *_) = [path for path, _ in rot.files() if path.parent.name == names.BODIES_DIR]
    good = body.read_bytes()
    body.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))

    report = audit(
        segments_in(rot.root), lambda first: read_segment(rot.root, first), owner, every=True
    )

    assert report.damage is None
    assert verified()[0] == 1
