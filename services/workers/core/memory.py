"""Conversations of askers who do not send their history themselves."""

from collections import OrderedDict
from collections.abc import Sequence

from thrum.tones import Body

CONVERSATIONS_MAX = 256
"""Conversations remembered; the one unused for longest is forgotten first."""
MESSAGES_MAX = 200
"""Messages of one conversation; the oldest turns are forgotten first."""


class Memory:
    """Messages by sid, system prompts left out."""

    def __init__(self) -> None:
        self._conversations: OrderedDict[str, list[Body]] = OrderedDict()

    def recall(self, sid: str) -> list[Body]:
        """The messages of a conversation, oldest first; empty when it is new or forgotten."""
        if sid not in self._conversations:
            return []
        self._conversations.move_to_end(sid)
        return self._conversations[sid]

    def remember(self, sid: str, messages: Sequence[Body]) -> None:
        """Replace a conversation; a cut falls in front of a user's message."""
        kept = [message for message in messages if message["role"] != "system"][-MESSAGES_MAX:]
        while kept and kept[0]["role"] != "user":
            del kept[0]
        self._conversations[sid] = kept
        self._conversations.move_to_end(sid)
        while len(self._conversations) > CONVERSATIONS_MAX:
            self._conversations.popitem(last=False)

    def forget(self, sid: str) -> None:
        """Drop a conversation, if there is one."""
        self._conversations.pop(sid, None)
