"""A snapshot as a file: what was written comes back, and nothing else is taken for one."""

from itertools import chain

import pytest
from tests.support.world import World

from humd.core.arrivals import Arrival, CatchUp
from humd.core.snapshot import (
    REFERENCES_PER_LINE,
    Ending,
    LeafLines,
    NotASnapshot,
    Owing,
    first_line,
    last_lines,
    parcel_of,
    read_snapshot,
    reference,
)
from humd.core.state import State
from thrum import frames
from thrum.chi import Chi
from thrum.frames import Header
from thrum.redaction import KnownSecrets

AT_SEQ = 9
MANY = REFERENCES_PER_LINE + 9


def busy() -> World:
    world = World()
    world.joins("W", "worker", models=["m"])
    world.joins("F", "forager", provides=["fs"], tools=[{"name": "read"}])
    world.joins("A", "asker")
    world.says("A", "prompt", sid="s", modelId="m", content="hello")
    world.says("A", "prompt", sid="s", modelId="m", content="again")
    return world


def owing(chunks: int = 3) -> list[Owing]:
    parcels = [
        reference(4, Header(Chi.PROMPT, "r", "s", wane=1, seq=7), b""),
        reference(None, Header(Chi.TOOL_CALL, "c", "s", seq=8), frames.pack_body({"name": "n"})),
        *(reference(None, Header(Chi.CHUNK, None, "s", seq=9, fan=1), b"") for _ in range(chunks)),
    ]
    return [Owing("W", 0, parcels), Owing("A", 3, [])]


def written(state: State, secrets: KnownSecrets | None = None, *, chunks: int = 3) -> bytes:
    lines = LeafLines(state, secrets)
    body = b"".join(lines)
    end = Ending(AT_SEQ, lines.root().hex(), lines.count, 3, 0, 0, 0)
    catch_ups = [CatchUp("A", "s", 1, 1, 0, 9)]
    return first_line(AT_SEQ, 5) + body + b"".join(last_lines(owing(chunks), catch_ups, end))


def test_what_was_written_comes_back() -> None:
    world = busy()

    found = read_snapshot(written(world.state, chunks=MANY))

    events = {seq: Arrival(seq, 1, "A", Header("prompt", "r", "s"), b"\x80") for seq in range(9)}
    assert (found.at_seq, found.at_ms, found.ending.needs_seq) == (AT_SEQ, 5, 3)
    assert found.owing == owing(MANY)
    assert found.catch_ups == [CatchUp("A", "s", 1, 1, 0, 9)]
    assert set(found.events_needed()) >= {4, 8, 9}
    assert b"".join(LeafLines(found.state(events))) == b"".join(LeafLines(world.state))


def test_an_event_that_is_missing_is_said() -> None:
    found = read_snapshot(written(busy().state))

    with pytest.raises(NotASnapshot, match="not the leaves"):
        found.state({})


def test_no_changed_byte_goes_unseen_in_a_leaf() -> None:
    whole = written(busy().state)
    begin, end = whole.index(b"\n[") + 1, whole.index(b'{"owed"')

    for at in chain(range(begin, end, 3), (begin, end - 1)):
        changed = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        with pytest.raises(NotASnapshot):
            read_snapshot(changed)


def test_no_part_of_a_file_is_taken_for_the_whole() -> None:
    whole = written(busy().state)

    for at in range(0, len(whole), 7):
        with pytest.raises(NotASnapshot):
            read_snapshot(whole[:at])


@pytest.mark.parametrize(
    "junk", [b"\n", b"{}\n", b"[]\n[]\n", b"\x00" * 64 + b"\n", b'{"format":"hum.state/1"}\n{}\n']
)
def test_anything_else_is_no_snapshot(junk: bytes) -> None:
    with pytest.raises(NotASnapshot):
        read_snapshot(junk)


def test_a_snapshot_of_another_version_is_named_so() -> None:
    whole = written(busy().state)
    first, _, rest = whole.partition(b"\n")

    with pytest.raises(NotASnapshot, match="another version"):
        read_snapshot(first.replace(b'"schema":"', b'"schema":"f') + b"\n" + rest)


def test_a_prompt_that_waited_is_owed_under_the_event_that_has_its_body() -> None:
    waited = reference(4, Header(Chi.PROMPT, "r", "s", seq=7), b"")
    begun = reference(7, Header(Chi.PROMPT, "r", "s", seq=7), b"")
    later = reference(9, Header(Chi.PROMPT, "r", "s", seq=7), b"")

    assert (waited.source, begun.source, later.source) == (4, 7, 7)


def test_what_humd_wrote_anew_in_a_body_is_written_anew_again() -> None:
    world = busy()
    asked = frames.pack_body({"toolName": "read", "name": "read", "input": {"path": "x"}})
    logged = frames.pack_body({"toolName": "w_read", "input": {"path": "x"}})
    call = reference(None, Header(Chi.TOOL_CALL, "c", "s", seq=8), asked)
    prompt = reference(4, Header(Chi.PROMPT, "r", "s", seq=4), b"")

    again = parcel_of(world.state, "F", call, Arrival(8, 1, "W", call.header, logged))
    enriched = parcel_of(
        world.state, "W", prompt, Arrival(4, 1, "A", prompt.header, frames.pack_body({"text": "t"}))
    )

    assert frames.read_body(again) == {
        "toolName": "read", "name": "read", "input": {"path": "x"}
    }  # fmt: skip
    assert "foragerTools" in frames.read_body(enriched)
    assert b"path" not in str(call).encode()


def test_a_secret_is_overwritten_as_in_the_log() -> None:
    world = World()
    world.joins("A", "asker", models=["sk-very-secret"])

    data = written(world.state, KnownSecrets(["sk-very-secret"]))

    assert b"sk-very-secret" not in data
    assert read_snapshot(data).at_seq == AT_SEQ
