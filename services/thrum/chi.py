"""Every chi, generated from registry.json by scripts/codegen. Do not edit."""

from enum import StrEnum

from thrum.members import direct

THRUM_VERSION = "0.7.0"


@direct
class Chi(StrEnum):
    """What a tone is."""

    HELLO = "hello"
    PROMPT = "prompt"
    CANCEL = "cancel"
    CLEANUP = "cleanup"
    CURATE = "curate"
    RELEASE_PERMIT = "release-permit"
    TENDRIL_RESULT = "tendril-result"
    TOOL_RESULT = "tool-result"
    PETAL_CELL = "petal-cell"
    BREATH = "breath"
    CHUNK = "chunk"
    FINISH = "finish"
    ERROR = "error"
    SESSION_READY = "session-ready"
    PULSE = "pulse"
    PERMISSION_ASK = "permission-ask"
    TENDRIL_REACH = "tendril-reach"
    TOOL_CALL = "tool-call"
    TOOL_META = "tool-meta"
    TOOL_INFO = "tool-info"
    ECHO = "echo"
    PERF_MARK = "perf-mark"
    LOG = "log"
    DRONE = "drone"
    DRONE_RETROFIT = "drone-retrofit"
    PEER_ADD = "peer-add"
    PEER_REMOVE = "peer-remove"
    ATTACH = "attach"
    DETACH = "detach"
    WANE_SYNC = "wane-sync"
    GOSSIP_PUBLISH = "gossip-publish"
    KAD_FIND_NODE = "kad-find-node"
    KAD_FIND_NODE_RESP = "kad-find-node-resp"
    BACKFILL = "backfill"
    FORGET = "forget"
    FORGOTTEN = "forgotten"
    CHECKPOINT = "checkpoint"
    COSIGN = "cosign"
    WITNESSED = "witnessed"
    KEY_COMMIT = "key-commit"
    KEY_ROTATE = "key-rotate"
    ROTATE_KEY = "rotate-key"
    SIGN = "sign"
    LOG_REPAIRED = "log-repaired"
    LOG_RESTORED = "log-restored"
    SNAPSHOT = "snapshot"
    BEE_RETRACT = "bee-retract"


@direct
class LinkChi(StrEnum):
    """Tones of the bus itself: never logged, never at the door."""

    CREDIT = "credit"
    RESET = "reset"
    APPEND = "append"
    DURABLE = "durable"
    VITALS = "vitals"
    STATE = "state"


class PulseKind(StrEnum):
    """What happened to a cell."""

    CELL_SPAWNED = "cell-spawned"
    CELL_READY = "cell-ready"
    CELL_IDLE = "cell-idle"
    CELL_DIED = "cell-died"
    CELL_EVICTED = "cell-evicted"


ANSWER: frozenset[str] = frozenset(
    {
        "tendril-result",
        "tool-result",
    }
)

DRIVER: frozenset[str] = frozenset(
    {
        "prompt",
        "cancel",
        "cleanup",
        "curate",
        "release-permit",
        "petal-cell",
    }
)

LOGGED: frozenset[str] = frozenset(
    {
        "hello",
        "prompt",
        "cancel",
        "cleanup",
        "curate",
        "release-permit",
        "tendril-result",
        "tool-result",
        "petal-cell",
        "breath",
        "chunk",
        "finish",
        "error",
        "session-ready",
        "pulse",
        "permission-ask",
        "tendril-reach",
        "tool-call",
        "tool-meta",
        "tool-info",
        "perf-mark",
        "drone",
        "drone-retrofit",
        "peer-add",
        "peer-remove",
        "attach",
        "detach",
        "wane-sync",
        "gossip-publish",
        "kad-find-node",
        "kad-find-node-resp",
        "forget",
        "forgotten",
        "witnessed",
        "key-commit",
        "key-rotate",
        "log-repaired",
        "log-restored",
        "snapshot",
        "bee-retract",
    }
)

OUTPUT: frozenset[str] = frozenset(
    {
        "breath",
        "chunk",
        "finish",
        "error",
        "session-ready",
        "pulse",
        "permission-ask",
        "tendril-reach",
        "tool-meta",
        "tool-info",
        "perf-mark",
        "drone",
        "drone-retrofit",
    }
)

TERMINAL: frozenset[str] = frozenset(
    {
        "finish",
        "error",
    }
)

WORK: frozenset[str] = frozenset(
    {
        "prompt",
        "tool-call",
        "attach",
        "forget",
    }
)
