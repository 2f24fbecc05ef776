"""Tiles and checkpoints on a real disk: made behind the log, lost, damaged, contradicted."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.thehum.chains import KEY, append, identity

from nest.paths import ensure_private
from thehum.core.events import split_line
from thehum.core.notes import Checkpoint, open_checkpoint, origin, sign_checkpoint
from thehum.core.pages import PageLimits
from thehum.core.proofs import event_leaf
from thehum.core.tiles import TileNodes, whole
from thehum.edge.checkpoints import EVERY_SECONDS, SLICE_EVENTS, Checkpoints
from thehum.edge.log import Log
from thehum.edge.tiles import Tiles
from thehum.errors import DiskFull
from thrum.merkle import Frontier, inclusion, leaf_hash, root, verify_inclusion

pytestmark = pytest.mark.process
EVERYTHING = PageLimits(events_max=1_000_000, bytes_max=1 << 40)


@pytest.fixture
def folder(home: Path) -> Path:
    return home / "thehum"


@pytest.fixture
def log(folder: Path) -> Iterator[Log]:
    opened = Log(folder, identity(), segment_bytes=256 * 1024)
    yield opened
    opened.close()


def checkpoints(log: Log, folder: Path) -> Checkpoints:
    return Checkpoints(log, folder, now=0.0)


def stored(folder: Path) -> Checkpoint:
    return open_checkpoint((folder / "checkpoint").read_text(), public=KEY.public)


def leaves(log: Log) -> list[bytes]:
    return [event_leaf(line) for line in log.page(1, EVERYTHING).lines]


def test_a_checkpoint_has_the_root_over_every_event_hash(log: Log, folder: Path) -> None:
    heads = checkpoints(log, folder)
    append(log, 700)
    append(log, 1)

    heads.finish()

    hashes = [split_line(line)[0] for line in log.page(1, EVERYTHING).lines]
    assert len(hashes) == 701
    assert stored(folder) == heads.newest
    assert stored(folder).size == 701
    assert stored(folder).root == Frontier().root(leaves(log))
    assert (folder / "checkpoint").stat().st_mode & 0o777 == 0o600


def test_an_empty_log_has_none(log: Log, folder: Path) -> None:
    checkpoints(log, folder).finish()

    assert not (folder / "checkpoint").exists()


def test_the_tree_follows_when_there_is_nothing_else_to_do(log: Log, folder: Path) -> None:
    heads = checkpoints(log, folder)
    append(log, 2 * SLICE_EVENTS)

    assert not heads.tick(1.0, is_idle=False)
    assert heads.size == 0
    assert heads.tick(1.0, is_idle=True)
    assert heads.size == SLICE_EVENTS
    assert not heads.tick(1.0, is_idle=False)
    assert heads.tick(EVERY_SECONDS, is_idle=False) is False
    assert heads.size == 2 * SLICE_EVENTS

    assert stored(folder).size == 2 * SLICE_EVENTS


def test_one_is_made_when_a_segment_is_sealed_and_when_one_is_old(log: Log, folder: Path) -> None:
    heads = checkpoints(log, folder)
    append(log, 1)
    assert not heads.tick(1.0, is_idle=True)
    assert not (folder / "checkpoint").exists()

    while not log.sealed_seq:
        append(log, 100)
    while heads.tick(2.0, is_idle=True):
        pass
    sealed = stored(folder).size
    append(log, 1)
    heads.tick(3.0, is_idle=True)

    assert sealed == log.head.seq - 1
    assert stored(folder).size == sealed
    heads.tick(2.0 + EVERY_SECONDS, is_idle=True)
    assert stored(folder).size == log.head.seq


def test_a_start_goes_on_from_tiles_and_checkpoint(log: Log, folder: Path) -> None:
    append(log, 1000)
    checkpoints(log, folder).finish()

    heads = checkpoints(log, folder)

    assert heads.size == 1000
    append(log, 500)
    heads.finish()
    assert stored(folder).root == Frontier().root(leaves(log))


@pytest.mark.parametrize("spoil", ["delete", "cut", "change", "folder"])
def test_lost_and_damaged_tiles_are_made_anew(log: Log, folder: Path, spoil: str) -> None:
    append(log, 1000)
    checkpoints(log, folder).finish()
    before, tile = stored(folder), folder / "tiles" / "1"
    good = [(folder / "tiles" / name).read_bytes() for name in "01"]
    match spoil:
        case "delete":
            tile.unlink()
        case "cut":
            os.truncate(tile, 40)
        case "change":
            tile.write_bytes(bytes(32) + tile.read_bytes()[32:])
        case _:
            for each in (folder / "tiles").iterdir():
                each.unlink()
            (folder / "tiles").rmdir()

    heads = checkpoints(log, folder)

    assert heads.size == 0
    heads.finish()
    assert heads.refused is None
    assert stored(folder) == before
    assert [(folder / "tiles" / name).read_bytes() for name in "01"] == good


def test_no_second_root_is_signed_for_one_size(log: Log, folder: Path) -> None:
    append(log, 300)
    lie = Checkpoint(origin(str(identity().hid)), 290, bytes(32))
    (folder / "checkpoint").write_text(sign_checkpoint(lie, KEY))
    (folder / "checkpoint").chmod(0o600)

    heads = checkpoints(log, folder)
    heads.finish()

    assert "not those that a checkpoint was signed for" in (heads.refused or "")
    assert stored(folder) == lie
    assert heads.sign() is None


def test_nothing_is_signed_for_a_log_that_was_cut(log: Log, folder: Path) -> None:
    append(log, 3)
    ahead = Checkpoint(origin(str(identity().hid)), 4, bytes(32))
    (folder / "checkpoint").write_text(sign_checkpoint(ahead, KEY))
    (folder / "checkpoint").chmod(0o600)

    heads = checkpoints(log, folder)
    heads.finish()

    assert heads.refused == "the log ends at 3, a checkpoint was signed for 4"
    assert stored(folder) == ahead


def test_an_event_that_changed_on_disk_is_never_signed_for(log: Log, folder: Path) -> None:
    append(log, 10)
    (segment,) = folder.glob("0*.ndjson")
    data = segment.read_bytes()
    with segment.open("r+b") as file:
        file.write(data.replace(b"token 6", b"token 7"))

    heads = checkpoints(log, folder)
    heads.finish()

    assert heads.refused == "event 7 is not the one that was written"
    assert not (folder / "checkpoint").exists()


def test_a_full_disk_delays_the_tree_and_spoils_nothing(
    log: Log, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads = checkpoints(log, folder)
    append(log, 600)
    add, calls = Tiles.add, [0]

    def full_now_and_then(tiles: Tiles, hashes: list[bytes]) -> bytes:
        calls[0] += 1
        if calls[0] % 2:
            raise DiskFull("no room")
        return add(tiles, hashes)

    monkeypatch.setattr(Tiles, "add", full_now_and_then)
    for slices in (1, 2):
        with pytest.raises(DiskFull):
            heads.finish()
        assert heads.size == slices * SLICE_EVENTS
    heads.finish()

    assert stored(folder).root == Frontier().root(leaves(log))
    assert checkpoints(log, folder).size == 600


def test_tiles_of_three_levels_lead_to_every_proof(home: Path) -> None:
    size = 65_536 + 256 + 44
    hashes = [leaf_hash(seq.to_bytes(32, "big")) for seq in range(size)]
    ensure_private(home / "log")
    tiles = Tiles(home / "log")
    assert tiles.open(0)
    for at in range(0, whole(size), 256):
        tiles.add(hashes[at : at + 256])

    node = TileNodes(tiles.read, tiles.size, hashes[tiles.size :])

    expected = Frontier().root(hashes)
    assert root(size, node) == expected
    for index in (0, 255, 256, 65_535, 65_536, 65_800, size - 1):
        proof = inclusion(index, size, node)
        assert verify_inclusion(hashes[index], proof, expected, index=index, size=size)
    assert [(home / "log/tiles" / name).stat().st_size // 32 for name in "012"] == [65_792, 257, 1]
    (home / "log/tiles/2").unlink()
    assert root(size, node) == expected
    assert Tiles(home / "log").open(size) is False
