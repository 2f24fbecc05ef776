"""The words of this project with plain words beside them, as `docs/vocabulary.md` has them."""

WORDS = (
    ("tone", "message", "one message: what it is (chi), an envelope and a body"),
    ("chi", "message type", "the discriminator of a tone; the list is below"),
    (
        "hive",
        "program, kind",
        "one kind of bee, such as scout or front; the unit that an Orchfile starts",
    ),
    ("bee", "client process", "a process with a socket to humd that said hello"),
    ("worker", "model backend", "a bee that answers prompts"),
    ("forager", "bridge", "a bee that speaks an outside wire, or owns tools, or both"),
    ("nest", "workplace", "where model processes live; its name is half of a sigil"),
    ("cell", "model process", "one supervised process tree that serves one conversation"),
    ("petal", "message of a history", "one message in the asker's own graph of a conversation"),
    ("bloom", "turn", "one prompt and everything until it is finished"),
    ("sigil", "short name", "twelve hex characters that stand for a conversation in a nest"),
    (
        "wane",
        "logical clock",
        "a Lamport counter for each conversation; who is behind asks for what is missing",
    ),
    ("dusk", "deadline", "wall-clock time after which a tone is dead"),
    ("drone", "heartbeat", "a regular sign of life with load and health"),
    ("drift", "timing record", "how long each step of a turn took"),
    ("penny", "counter", "tokens and turns, added up over the daemon's life"),
)
"""Word, plain word, what it is."""
OLDER = (
    ("egg", "spawn request"),
    ("raise", "spawn"),
    ("mark", "pid"),
    ("feed", "stdin"),
    ("mmm", "events"),
    ("emerged", "exited"),
    ("still", "cancel"),
    ("bounds", "limits"),
    ("vitals", "metrics of a process"),
    ("pollen", "attachment"),
    ("tend", "supervise"),
    ("nestler, nestled", "bee of a nest, attached"),
    ("sap", "stream"),
    ("wilt", "end of a timing record"),
)
"""Older word for a mechanical thing, and the one that is used here."""
