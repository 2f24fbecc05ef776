"""Remembered conversations are bounded."""

from thrum.tones import Body
from workers.core import memory
from workers.core.memory import Memory


def message(role: str, content: str) -> Body:
    return {"role": role, "content": content}


def test_a_conversation_is_remembered_without_its_system_prompt() -> None:
    known = Memory()

    known.remember("s", [message("system", "x"), message("user", "a")])

    assert known.recall("s") == [message("user", "a")]
    assert known.recall("t") == []


def test_the_conversation_unused_for_longest_is_forgotten_first() -> None:
    known = Memory()
    for number in range(memory.CONVERSATIONS_MAX):
        known.remember(str(number), [message("user", "a")])

    known.recall("0")
    known.remember("new", [message("user", "a")])

    assert known.recall("0")
    assert not known.recall("1")


def test_a_long_conversation_is_cut_in_front_of_a_users_message() -> None:
    known = Memory()
    turns = [message("user", "u"), message("assistant", "a"), message("tool", "t")]

    known.remember("s", turns * memory.MESSAGES_MAX)

    kept = known.recall("s")
    assert len(kept) <= memory.MESSAGES_MAX
    assert kept[0]["role"] == "user"


def test_what_is_forgotten_is_gone() -> None:
    known = Memory()
    known.remember("s", [message("user", "a")])

    known.forget("s")
    known.forget("s")

    assert known.recall("s") == []
