"""What `verify` says of checkpoints and of what witnesses signed below them (features C2, C9)."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.unit.thehum.chains import AUTHOR, append, identity

from nest.identity import Identity
from thehum.core.cosigned import witness_name
from thehum.core.names import CHECKPOINT, COSIGNED_DIR, WITNESSED_DIR, record_name, segment_name
from thehum.core.witness import Conflict, cosignature, read_head
from thehum.core.witnessing import dump_conflict, dump_head
from thehum.edge.checkpoints import Checkpoints
from thehum.edge.log import Log
from thrum.ids import hid_of
from thrum.keys import SigningKey

pytestmark = pytest.mark.process
WITNESS = SigningKey.from_seed(b"w" * 32)
WITNESS_HID = str(hid_of("humd", WITNESS.public))


@pytest.fixture
def root(home: Path) -> Path:
    return home / "state" / "hum" / "thehum"


def grow(root: Path, groups: int, who: Identity | None = None, **body: Any) -> str:
    """Append to the log and sign its root; the note."""
    who = who or identity()
    root.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = Log(root, who, segment_bytes=64 * 1024)
    for _ in range(groups):
        append(log, 10, key=who.key, author=str(who.hid), **body)
    checkpoints = Checkpoints(log, root, now=0.0)
    checkpoints.finish()
    log.close()
    assert checkpoints.newest is not None
    return checkpoints.note


def cosign(root: Path, note: str) -> Path:
    """A witness signs below a note, and the log keeps that."""
    head = read_head(note, public=identity().key.public)
    line = cosignature(head, WITNESS, name=witness_name(WITNESS_HID), at_seconds=1_700_000_000)
    folder = root / COSIGNED_DIR
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / record_name(WITNESS_HID)
    path.write_bytes(orjson.dumps({"note": note + line, "pubkey": WITNESS.public.hex()}))
    return path


def verify(*arguments: str) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "hum", "thehum", "verify", "--json", *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout, done.stderr
    answer: dict[str, Any] = orjson.loads(done.stdout)
    return done.returncode, answer


def plain(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hum", "thehum", *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_log_leads_to_its_checkpoint_and_to_what_a_witness_signed(root: Path) -> None:
    cosign(root, grow(root, 30))
    grow(root, 30)

    status, answer = verify()

    assert (status, answer["ok"]) == (0, True)
    assert [(head["by"], head["size"], head["reason"]) for head in answer["heads"]] == [
        ("checkpoint", 600, None),
        (WITNESS_HID, 300, None),
    ]
    assert f"300 events cosigned by {WITNESS_HID} at 2023-11-14" in plain("verify").stdout


def test_yesterdays_copy_is_reported_as_cut_short(root: Path) -> None:
    """`features C2`: also when seq.bin is of yesterday too."""
    grow(root, 10)
    copy = root.with_name("yesterday")
    shutil.copytree(root, copy)
    kept = cosign(root, grow(root, 10))
    note = root.with_name("note")
    shutil.move(kept, note)
    shutil.rmtree(root)
    shutil.move(copy, root)

    without, _ = verify()
    status, answer = verify("--witness", str(note))

    assert without == 0, "nothing here remembers better"
    assert (status, answer["ok"]) == (1, False)
    assert "ends at event 100, and 200 were signed for" in answer["heads"][-1]["reason"]
    assert (
        f"it does not lead to what {WITNESS_HID} signed"
        in plain("verify", "--witness", str(note)).stdout
    )


def test_a_rewritten_log_is_caught_by_what_a_witness_signed(root: Path) -> None:
    kept = cosign(root, grow(root, 10)).read_bytes()
    shutil.rmtree(root)
    grow(root, 20, note="another story")
    folder = root / COSIGNED_DIR
    folder.mkdir(mode=0o700)
    (folder / record_name(WITNESS_HID)).write_bytes(kept)

    status, answer = verify("--full")

    assert status == 1
    assert answer["damage"] is None, "the chain itself is whole"
    assert answer["heads"][0]["reason"] is None
    assert "do not lead to the root" in answer["heads"][1]["reason"]


def test_a_cut_behind_the_last_segment_is_caught_by_the_checkpoint(root: Path) -> None:
    grow(root, 10)
    path = root / segment_name(1)
    data = path.read_bytes().rstrip(b"\0")
    cut = data[: data[:-1].rfind(b"\n", 0, len(data) - 4_000) + 1]
    while b'"sig":null' in cut[cut[:-1].rfind(b"\n") + 1 :]:
        cut = cut[: cut[:-1].rfind(b"\n") + 1]
    path.write_bytes(cut)
    (root / "seq.bin").unlink()

    status, answer = verify()

    assert status == 1
    assert "it was cut short" in answer["heads"][0]["reason"]


@pytest.mark.parametrize("spoil", [b"", b"garbage", b'{"note": "x", "pubkey": "00"}'])
def test_what_cannot_be_read_proves_nothing_and_is_told(root: Path, spoil: bytes) -> None:
    cosign(root, grow(root, 3)).write_bytes(spoil)

    status, answer = verify()

    assert status == 1
    assert answer["heads"][1]["reason"]


def test_a_note_that_is_missing_or_of_somebody_else_is_told(root: Path) -> None:
    grow(root, 3)
    other = root.with_name("note")
    other.write_text(grow(root.with_name("other"), 3, Identity(
        hid_of("humd", WITNESS.public), WITNESS)))  # fmt: skip

    assert plain("verify", "--witness", str(root / "nothing")).returncode == 1
    assert verify("--witness", str(other))[0] == 1


def test_logs_that_are_witnessed_are_listed_and_two_histories_shown(root: Path) -> None:
    """`features C9`."""
    grow(root, 1)
    other = Identity(hid_of("humd", WITNESS.public), WITNESS)
    notes = [grow(root.with_name(name), 3, other, note=name) for name in ("a", "b")]
    first, second = (read_head(note, public=WITNESS.public) for note in notes)
    folder = root / WITNESSED_DIR
    folder.mkdir(mode=0o700)
    held = folder / record_name(WITNESS_HID)
    held.write_bytes(orjson.dumps(dump_head(first, WITNESS.public)))
    good = plain("witnessed")
    evidence = dump_conflict(Conflict(first, second), WITNESS.public)
    (folder / record_name(WITNESS_HID, is_conflict=True)).write_bytes(orjson.dumps(evidence))
    bad, told = plain("witnessed"), plain("witnessed", "--json")

    assert (good.returncode, bad.returncode, told.returncode) == (0, 1, 1)
    assert "30 events" in good.stdout
    assert "TWO HISTORIES" in bad.stdout
    assert orjson.loads(told.stdout)[0]["conflict"] == notes
    assert (root / CHECKPOINT).read_text().startswith(f"hum/{AUTHOR}/1\n")
