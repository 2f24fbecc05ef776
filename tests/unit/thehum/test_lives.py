"""A witness and a log that went on from an older copy (`reliability 4.5`)."""

from typing import Any

import pytest
from tests.unit.thehum.chains import AUTHOR, KEY, START_MS, group, lines_of

from thehum.core.bodies import draft
from thehum.core.events import GENESIS, Head
from thehum.core.groups import Group, GroupBuilder
from thehum.core.notes import BadNote, Checkpoint, origin, sign_checkpoint
from thehum.core.proofs import event_leaf
from thehum.core.tiles import TileNodes
from thehum.core.witness import Head as Signed
from thehum.core.witness import Life, begins_anew, read_head
from thehum.core.witnessing import Asked, Record, Sign, Witnessed, read_asked
from thrum.canonical import dumps
from thrum.merkle import inclusion, root

OWN = "humd_" + "0" * 64
OLD = group(9)


def restored(head: Head, *, chi: str = "log-restored", client: Any = None, epoch: int = 2) -> Group:
    builder = GroupBuilder(AUTHOR, KEY, head)
    body = dumps({"@via": {"client": client}, "epoch": epoch, "old": {"seq": 9}})
    builder.add([draft(chi=chi, rid="r", sid=None, body=body)], START_MS)
    return builder.seal()


def tree(lines: list[bytes]) -> TileNodes:
    return TileNodes(lambda *_: None, 0, [event_leaf(line) for line in lines])


def signed(lines: list[bytes], epoch: int) -> Signed:
    size = len(lines)
    made = Checkpoint(origin(AUTHOR, epoch), size, root(size, tree(lines)))
    return read_head(sign_checkpoint(made, KEY), public=KEY.public)


def next_life(**said: Any) -> tuple[Signed, Life]:
    """A log that went on behind event 5, and the event that says so."""
    kept = group(5)
    event = restored(kept.head, **said)
    lines = lines_of(kept.data + event.data + group(2, event.head).data)
    return signed(lines, 2), Life(lines[5], inclusion(5, len(lines), tree(lines)))


HELD = signed(lines_of(OLD.data), 1)


def test_the_next_life_is_believed_when_the_log_says_so_below_its_root() -> None:
    new, life = next_life()

    assert begins_anew(HELD, new, life)


@pytest.mark.parametrize(
    "said",
    [{"chi": "chunk"}, {"client": "somebody"}, {"epoch": 3}],
    ids=lambda one: next(iter(one)),
)
def test_an_event_that_says_something_else_begins_no_life(said: dict[str, Any]) -> None:
    assert not begins_anew(HELD, *next_life(**said))


def test_it_is_one_step_and_below_that_root() -> None:
    new, life = next_life()
    lines = lines_of(OLD.data)

    assert not begins_anew(new, new, life)  # that life is held already
    assert not begins_anew(HELD, signed(lines, 3), life)
    assert not begins_anew(HELD, signed(lines, 2), life)
    assert not begins_anew(HELD, new, Life(life.line, life.inclusion[:-1]))
    assert not begins_anew(HELD, new, Life(lines[5], life.inclusion))
    assert not begins_anew(HELD, new, Life(b"{}", life.inclusion))


def test_a_witness_goes_on_with_the_next_life_and_never_back() -> None:
    witnessed = Witnessed(OWN)
    new, life = next_life()
    witnessed.recorded(HELD)

    with pytest.raises(BadNote):
        witnessed.ask(Asked(head=new, public=KEY.public, proof=()))
    verdict = witnessed.ask(Asked(head=new, public=KEY.public, proof=(), life=life))
    assert verdict == Record(new)
    witnessed.recorded(new)
    assert witnessed.ask(Asked(head=new, public=KEY.public, proof=())) == Sign(new)
    with pytest.raises(BadNote):
        witnessed.ask(Asked(head=HELD, public=KEY.public, proof=()))


def test_what_is_asked_may_bring_a_life_along() -> None:
    new, life = next_life()
    fields = {"line": life.line.decode(), "inclusion": [one.hex() for one in life.inclusion]}
    body = {"note": new.note, "pubkey": KEY.public.hex(), "life": fields}

    assert read_asked(body).life == Life(life.line, list(life.inclusion))
    assert begins_anew(HELD, new, life)
    for wrong in ({}, 7, {"line": 1, "inclusion": []}, {**fields, "inclusion": ["0"] * 200}):
        with pytest.raises(BadNote):
            read_asked({**body, "life": wrong})


def test_the_first_event_of_all_may_begin_a_life() -> None:
    event = restored(GENESIS)
    lines = lines_of(event.data)
    new = signed(lines, 2)

    assert begins_anew(HELD, new, Life(lines[0], inclusion(0, 1, tree(lines))))
