"""The shape of hum.json: one frozen dataclass for each section, one string under each field."""

import ipaddress
from dataclasses import dataclass, field
from typing import Annotated, Literal
from urllib.parse import urlsplit

from nest.settings.schema import Range, Text, schema_of
from thrum.chi import Chi
from thrum.limits import WANTED, read_limit, read_money

OPENAI_BASE_URL = "https://api.openai.com/v1"
ANTHROPIC_BASE_URL = "https://api.anthropic.com"
OLLAMA_PORT = 11_434
OLLAMA_BASE_URL = f"http://127.0.0.1:{OLLAMA_PORT}"
MIB = 1024 * 1024

LogLevel = Literal["debug", "info", "warning", "error"]


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a listener on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_host_port(text: str) -> bool:
    parts = urlsplit(f"//{text}")
    try:
        return parts.port is not None and bool(parts.hostname)
    except ValueError:
        return False


def _is_loopback_port(text: str) -> bool:
    return text == "" or (_is_host_port(text) and is_loopback(urlsplit(f"//{text}").hostname or ""))


def _has_possible_port(text: str) -> bool:
    try:
        return urlsplit(f"//{text}").port != 0
    except ValueError:
        return False


def is_base_url(text: str) -> bool:
    """Whether `text` names a server, without a user before its name."""
    try:
        parts = urlsplit(text)
        return parts.port != 0 and bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:
        return False


def is_chi_or_all(text: str) -> bool:
    """Whether `text` names a kind of tone, or is `*`."""
    return text == "*" or text in frozenset(Chi)


LoopbackHost = Annotated[
    str,
    Text(
        r".+",
        "127.0.0.1, ::1 or localhost: no keys are configured, so other machines are not let in",
        check=is_loopback,
    ),
]
Port = Annotated[int, Range(0, 65_535)]
FilePath = Annotated[str, Text(r"(/|~$|~/).*", "an absolute path, or one that starts with ~/")]
ChiName = Annotated[
    str,
    Text(r"[a-z-]+|\*", "a kind of tone, such as prompt, or * for all", check=is_chi_or_all),
]
Excludable = Literal["echo", "log", "perf-mark", "drone", "drone-retrofit"]
FrameBytes = Annotated[int, Range(64 * 1024, 256 * MIB)]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorSettings:
    """Where signed roots of the log are made known, so that its owner cannot change them."""

    backend: Literal["null", "file", "witness", "evm"] = "null"
    """`null`: nowhere. `file`: a line in `path`. `witness`: another humd signs below it. `evm`: a
    call of a contract, signed and sent by `command`."""
    every_minutes: Annotated[int, Range(0, 525_600)] = 60
    """Minutes between two anchors, if the log grew."""
    path: FilePath | None = None
    """Of `file`: where lines are appended."""
    rpc_url: Annotated[str, Text(r"https?://.+", "http:// or https://")] | None = None
    """Of `evm`: a JSON-RPC endpoint, which is asked whether the call is in a block."""
    contract: Annotated[str, Text(r"0x[0-9a-fA-F]{40}", "an address")] | None = None
    """Of `evm`: the contract with `anchor(bytes32,bytes32,uint64)`."""
    chain_id: Annotated[int, Range(1)] = 1
    """Of `evm`: for the program that signs."""
    command: tuple[str, ...] = ()
    """Of `evm`: the program, and its arguments. It gets the call on stdin and prints the hash."""

    @property
    def missing(self) -> tuple[str, ...]:
        """Settings that the backend needs and that are absent."""
        needs: dict[str, dict[str, object]] = {
            "file": {"path": self.path},
            "evm": {"rpcUrl": self.rpc_url, "contract": self.contract, "command": self.command},
        }
        return tuple(name for name, value in needs.get(self.backend, {}).items() if not value)


@dataclass(frozen=True, slots=True, kw_only=True)
class ThehumSettings:
    """The signed log."""

    signing: Literal["group", "every"] = "group"
    """What carries a signature: the last event of each commit group (the default; it covers all
    before it), or every event, at a twentieth of the speed."""
    segment_bytes: Annotated[int, Range(MIB, 1024 * MIB)] = 16 * MIB
    """Bytes of a segment file, preallocated. A full segment is sealed and the next one begins."""
    segment_events: Annotated[int, Range(1, 16_777_216)] = 65_536
    """Events of a segment; the earlier of the two bounds seals it."""
    mode: Literal["archive", "rolling", "light"] = "rolling"
    """What is kept: everything; what fits into the two bounds below (the default); or what is
    behind the older of the two newest snapshots."""
    bytes_max: Annotated[int, Range(16 * MIB)] = field(
        default=512 * MIB, metadata={"json": "maxBytes"}
    )
    """Bytes of disk for the log when it rolls; at least four segments. The segment that is being
    written comes on top."""
    age_days_max: Annotated[int, Range(1, 36_500)] = field(
        default=30, metadata={"json": "maxAgeDays"}
    )
    """Days that events are kept when the log rolls, if the bytes allow."""
    snapshot_interval_ms: Annotated[int, Range(100, 86_400_000)] = 30_000
    """Milliseconds between two snapshots of the router's state, while something happens. A start
    reads the newest one and what the log has behind it; what is behind none is never dropped."""
    exclude: tuple[Excludable, ...] = ("echo", "log")
    """Kinds of tone that are never written. They carry no state; only such kinds can be named."""
    sensitive: tuple[ChiName, ...] = ()
    """Kinds of tone whose bodies are always stored beside the log, where `hum thehum forget` can
    erase them; `*` means all. A body that is too large for a line is stored there anyway."""
    redact: tuple[ChiName, ...] = ()
    """Kinds of tone whose bodies are not stored at all, but for what routing needs; `*` means
    all."""
    anchor: AnchorSettings = AnchorSettings()

    @property
    def is_bound_too_small(self) -> bool:
        """Whether a log that rolls has less room than four segments."""
        return self.mode == "rolling" and self.bytes_max < 4 * self.segment_bytes

    @property
    def bound(self) -> str:
        """What is kept, in words."""
        if self.mode == "rolling":
            return f"at most {self.bytes_max // MIB} MiB and {self.age_days_max} days"
        return "everything" if self.mode == "archive" else "since the last snapshot but one"


def is_limit(text: str) -> bool:
    """Whether `text` says a limit."""
    return read_limit(text) is not None


def is_money(text: str) -> bool:
    """Whether `text` says an amount of dollars."""
    return read_money(text) is not None


Pattern = Annotated[str, Text(r".{1,64}", "a name, or a pattern with * and ?")]
Money = Annotated[str, Text(r"[0-9.]+", "an amount in US dollars, as text", check=is_money)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What may be used in a time."""

    limit: Annotated[str, Text(r".+", WANTED, check=is_limit)] = "0 requests/minute"
    """How much: `5 usd/day`, `60 requests/minute`, `200000 tokens/hour`."""
    key: Pattern = "*"
    """Whose: ids of clients' keys."""
    agent: Pattern = "*"
    """Whose: names of agents, or of bees that ask."""
    model: Pattern = "*"
    """Which models."""
    schedule: Pattern = "*"
    """Which: names of schedules; one that is not `*` is for nothing that somebody asks himself."""
    each: Literal["all", "key", "agent", "model", "schedule"] = "all"
    """`all`: everything that fits is counted together; else each key, agent, model or schedule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a model costs: US dollars for a million tokens."""

    model: Pattern = "*"
    """Its name, or a pattern; the longest that fits counts."""
    input: Money = "0"
    """Of tokens that the model reads."""
    output: Money = "0"
    """Of tokens that it writes."""
    cache_read: Money | None = None
    """Of input read from a cache. Absent: as other input."""
    cache_write: Money | None = None
    """Of input written to a cache. Absent: as other input."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HumdSettings:
    """The router."""

    permission_dusk_ms: Annotated[int, Range(0)] = 60_000
    """Milliseconds a permission ask may wait for its answer; then it counts as denied."""
    drift_retention_days: Annotated[int, Range(0)] = 30
    """Days that timing records are kept."""
    drone_beat_ms: Annotated[int, Range(50, 3_600_000)] = 5_000
    """Milliseconds that the worker of a turn may be silent before it is asked for a sign of life,
    if it promised to give one. Three asked in vain, and the turn is taken from it. A process that
    does not even answer on the wire for 8 times as long (3 s to 40 s) counts as gone."""
    drone_classifier: Literal["none", "phrases"] = "none"
    """What judges whether a model has lost its context. `phrases`: what it then tends to say."""
    metrics_addr: Annotated[
        str, Text(r".*", "host:port of this machine, or empty for none", check=_is_loopback_port)
    ] = "127.0.0.1:9909"
    """Where the sidecar serves metrics only, for collectors set up with it. Empty: nowhere."""
    # user: nobody yet; the key is taken (docs/operating.md)
    tcp_listen: Annotated[str, Text(r".+", "host:port", check=_is_host_port)] | None = None
    """Where peers may come in over TCP. Absent: humd only dials."""
    frame_bytes_max: FrameBytes = field(default=16 * MIB, metadata={"json": "maxFrameBytes"})
    """Bytes of one line or frame. A longer one is refused and its link closed."""
    budgets: tuple[Budget, ...] = ()
    """What may be used in a time, whoever asks; beside the limits of clients' keys."""
    prices: tuple[Price, ...] = ()
    """What models cost, over the table that comes with hum."""
    unknown_price: Literal["refuse", "ignore"] = "refuse"
    """What a budget in money does with a model whose price nobody knows."""
    thehum: ThehumSettings = ThehumSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """A folder that file tools may use, with everything below it."""

    path: FilePath = "~"
    """Absolute, or from the home with `~/`."""
    mode: Literal["rw", "ro"] = "rw"
    """`ro`: reading only."""


HostName = Annotated[
    str,
    Text(
        r"(\*\.)?[A-Za-z0-9._-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?",
        "a host such as registry.npmjs.org, *.pypi.org or 10.0.0.5:8443",
        check=_has_possible_port,
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShellSettings:
    """Commands that models run."""

    requires: Literal["full", "partial", "none"] = "partial"
    """The sandbox without which no command runs. `full`: every layer of it. `partial`: at least
    bubblewrap, with files, processes and network of its own. `none`: commands run even where there
    is no sandbox at all, with all the rights of this user."""
    hosts: tuple[HostName, ...] = ()
    """Where commands may connect to, by HTTPS through a proxy: `host`, `*.suffix`, each with
    `:port` or for 443. Empty: no network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FsInstance:
    """One more process of the file tools. Models see each tool once, however many there are."""

    name: Annotated[str, Text(r"[a-z0-9][a-z0-9-]{0,31}", "a short name in lower case")] = "second"
    """It runs as the service `humfs-<name>`."""
    roots: tuple[Root, ...] = ()
    """Its roots: calls that name a path below one of them go to it. Empty: those of `fs.roots`,
    and it shares the work with the first process."""
    denied: tuple[FilePath, ...] = ()
    """Refused by this one, besides what `fs.denied` names."""
    shell: ShellSettings | None = None
    """Its commands. Absent: as `fs.shell`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FsSettings:
    """What file tools may touch. Without a root they may touch nothing."""

    roots: tuple[Root, ...] = ()
    """Where several match, the first counts."""
    denied: tuple[FilePath, ...] = ("~/.ssh", "~/.aws", "~/.gnupg")
    """Refused even inside a root. hum's own configuration and state always are, named or not."""
    shell: ShellSettings = ShellSettings()
    output_chars_max: Annotated[int, Range(2_000, 100_000)] = field(
        default=7_500, metadata={"json": "maxOutputChars"}
    )
    """Characters of one answer of `humfs_read`; what is left out is told."""
    instances: tuple[FsInstance, ...] = ()
    """Further processes of the file tools, each with its roots; at most 16."""

    @property
    def all_roots(self) -> tuple[Root, ...]:
        """The roots of all processes, each once."""
        further = (root for one in self.instances for root in one.roots)
        return tuple(dict.fromkeys((*self.roots, *further)))

    def of(self, instance: str) -> "FsSettings | None":
        """What one of `instances` may touch; None when there is none of that name."""
        for one in self.instances:
            if one.name == instance:
                return FsSettings(
                    roots=one.roots or self.roots,
                    denied=(*self.denied, *one.denied),
                    shell=one.shell or self.shell,
                    output_chars_max=self.output_chars_max,
                )
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class CellLimits:
    """What one model process may take."""

    memory_bytes: Annotated[int, Range(64 * MIB)] | None = 8 * 1024 * MIB
    """Memory that one process may write to, and all it starts together. null: no limit."""
    files: Annotated[int, Range(32)] | None = 1_024
    """Open files of one process."""
    processes: Annotated[int, Range(8)] | None = 512
    """Processes and threads of one cell."""
    cpu_seconds: Annotated[int, Range(1)] | None = 14_400
    """Processor time of one process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NestSettings:
    """Model processes."""

    cells_active_max: Annotated[int, Range(1)] = field(
        default=4, metadata={"json": "maxActiveCells"}
    )
    """Model processes alive at once; one more evicts the one idle for longest."""
    cell_idle_prune_threshold_ms: Annotated[int, Range(0)] = 300_000
    """Milliseconds without a turn after which a model process is ended."""
    cell_limits: CellLimits = CellLimits()
    default: Annotated[str, Text(r"[A-Za-z0-9][A-Za-z0-9_.-]*", "a kind of nest")] = "claude-cli"
    """The namespace of sigils, and the kind told to peers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontSettings:
    """The model front: OpenAI, Anthropic and Ollama on one port."""

    host: Annotated[str, Text(r"[^\s/]+", "an address or a name of this machine")] = "127.0.0.1"
    """Address to listen on. One that other machines reach needs a key: `hum key create`."""
    port: Port = 14_620
    """TCP port. 0: any free one; clients find it in runtime.json."""
    ollama_port: Annotated[int, Range(1, 65_535)] | None = None
    """A further port, for clients of Ollama that know one only; left out where it is taken."""
    names: tuple[Annotated[str, Text(r"[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\]", "a host name")], ...] = ()
    """Further names and addresses under which clients ask, without the port."""
    require_key: bool = False
    """Whether clients on this machine need a key too."""
    tools: Literal["auto", "always", "never"] = "auto"
    """Which requests are offered hum's tools. `auto`: those that bring none of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SidecarSettings:
    """Metrics, health and administration."""

    host: LoopbackHost = "127.0.0.1"
    """Address to listen on; one of this machine only."""
    port: Port = 14_600
    """TCP port. 0: any free one; clients find it in runtime.json."""


BaseUrl = Annotated[
    str,
    Text(
        r"https?://[^\s?#]+",
        "http:// or https://, without a user, query or fragment",
        check=is_base_url,
        secret=True,
    ),
]
KeyVariable = Annotated[
    str, Text(r"[A-Za-z_][A-Za-z0-9_]*", "the name of a variable, not the key", secret=True)
]
KeyFile = Annotated[str, Text(r"(/|~/).+", "the path of a file, not the key", secret=True)]
Model = Annotated[str, Text(r"\S+", "a model's name")]
Decimal = Annotated[str, Text(r"[0-9](\.[0-9]{1,6})?", "a number from 0 to 9.999999, as text")]


@dataclass(frozen=True, slots=True, kw_only=True)
class FurtherService:
    """One more service of a worker's dialect."""

    name: Annotated[str, Text(r"[a-z0-9][a-z0-9-]{0,31}", "a short name in lower case")] = "other"
    """Its models are there as `name/model` as well."""
    base_url: BaseUrl | None = None
    """Where it is."""
    key_env: KeyVariable | None = None
    """The variable that holds its key when `hum up` runs."""
    key_file: KeyFile | None = None
    """A 0600 file with its key on one line; beats the variable."""
    models: tuple[Model, ...] = ()
    """Models to offer. Empty: those the service lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """A name for models of one worker."""

    name: Model = "default"
    """What clients ask for."""
    models: tuple[Model, ...] = ()
    """The first that can answer does; who asks for the alias allows each of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """What is asked of some models when the asker does not say; the first that fits counts."""

    model: Pattern = "*"
    """Which: a model's name as its service has it, or a pattern."""
    temperature: Decimal | None = None
    """As text, such as `0.2`."""
    top_p: Decimal | None = None
    """As text."""
    reasoning_effort: Annotated[str, Text(r"[a-z]{1,16}", "a word such as low")] | None = None
    """Where the service takes one."""
    context_tokens: Annotated[int, Range(256, 16_777_216)] | None = None
    """Of Ollama: the context that is asked for."""
    answer_tokens: Annotated[int, Range(1, 1_000_000)] | None = None
    """The bound on an answer."""
    answer_tokens_max: Annotated[int, Range(1, 1_000_000)] | None = field(
        default=None, metadata={"json": "answerTokensMax"}
    )
    """No answer may be longer, whatever is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheSettings:
    """Answers that are given again to the same request. Off without bytes."""

    bytes_max: Annotated[int, Range(0, 1024 * MIB)] = field(
        default=0, metadata={"json": "maxBytes"}
    )
    """Memory for them. 0: none are kept."""
    seconds: Annotated[int, Range(1, 31_536_000)] = 3_600
    """How long one may be given again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenaiSettings:
    """A model service that speaks the OpenAI dialect."""

    enabled: bool | None = None
    """Absent: the worker runs when a base URL or a key is there."""
    base_url: BaseUrl | None = None
    """Where the service is, usually ending in `/v1`. Absent: `OPENAI_BASE_URL`, else OpenAI."""
    key_env: KeyVariable = "OPENAI_API_KEY"
    """The variable that holds the key."""
    key_file: KeyFile | None = None
    """A 0600 file with the key on one line; beats the variable."""
    models: tuple[Model, ...] = ()
    """Models to offer. Empty: those the service lists."""
    services: tuple[FurtherService, ...] = ()
    """Further services of this dialect behind the same worker."""
    aliases: tuple[Alias, ...] = ()
    """Further names for models, each with the order in which models are asked."""
    per_model: tuple[ModelSettings, ...] = ()
    """What is asked of single models when the asker does not say."""
    cache: CacheSettings = CacheSettings()

    @property
    def upstream(self) -> str:
        """The base URL to use, without a slash at its end."""
        return (self.base_url or OPENAI_BASE_URL).rstrip("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class AnthropicSettings:
    """A model service that speaks the Anthropic dialect."""

    enabled: bool | None = None
    """Absent: the worker runs when a base URL or a key is there."""
    base_url: BaseUrl | None = None
    """Where the service is, without `/v1`. Absent: `ANTHROPIC_BASE_URL`, else Anthropic."""
    key_env: KeyVariable = "ANTHROPIC_API_KEY"
    """The variable that holds the key."""
    key_file: KeyFile | None = None
    """A 0600 file with the key on one line; beats the variable."""
    models: tuple[Model, ...] = ()
    """Models to offer. Empty: those the service lists."""
    services: tuple[FurtherService, ...] = ()
    """Further services of this dialect behind the same worker."""
    aliases: tuple[Alias, ...] = ()
    """Further names for models, each with the order in which models are asked."""
    per_model: tuple[ModelSettings, ...] = ()
    """What is asked of single models when the asker does not say."""
    cache: CacheSettings = CacheSettings()
    answer_tokens_max: Annotated[int, Range(1, 1_000_000)] = field(
        default=8_192, metadata={"json": "answerTokensMax"}
    )
    """The bound on an answer when the asker names none: the dialect insists on one."""

    @property
    def upstream(self) -> str:
        """The base URL to use, without a slash or `/v1` at its end."""
        return (self.base_url or ANTHROPIC_BASE_URL).rstrip("/").removesuffix("/v1")


@dataclass(frozen=True, slots=True, kw_only=True)
class OllamaSettings:
    """A model service that speaks the Ollama dialect."""

    enabled: bool | None = None
    """Absent: the worker runs when a base URL is there, or a service answers at the usual place."""
    base_url: BaseUrl | None = None
    """Where the service is. Absent: `OLLAMA_HOST`, else 127.0.0.1:11434."""
    key_env: KeyVariable = "OLLAMA_API_KEY"
    """The variable that holds the key, where a service wants one."""
    key_file: KeyFile | None = None
    """A 0600 file with the key on one line; beats the variable."""
    models: tuple[Model, ...] = ()
    """Models to offer. Empty: those the service lists."""
    services: tuple[FurtherService, ...] = ()
    """Further services of this dialect behind the same worker."""
    aliases: tuple[Alias, ...] = ()
    """Further names for models, each with the order in which models are asked."""
    per_model: tuple[ModelSettings, ...] = ()
    """What is asked of single models when the asker does not say."""
    cache: CacheSettings = CacheSettings()
    context_tokens: Annotated[int, Range(256, 16_777_216)] | None = None
    """Context that is asked for, in tokens. Absent: what the model can take, at most 32,768."""

    @property
    def upstream(self) -> str:
        """The base URL to use, without a slash at its end."""
        return (self.base_url or OLLAMA_BASE_URL).rstrip("/")


ServiceSettings = OpenaiSettings | AnthropicSettings | OllamaSettings
ServiceKind = Literal["openai", "anthropic", "ollama"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaudeSettings:
    """Claude Code as a program: one process for each conversation."""

    enabled: bool = False
    """Whether its worker runs: it works with the account that this user is logged in to."""
    path: FilePath | None = None
    """The program. Absent: `CLAUDE_CLI_PATH`, else `claude` on `PATH`."""
    models: tuple[Model, ...] = ()
    """Models to offer. Empty: `CLAUDE_MODELS`, else the usual ones."""
    tools: tuple[Annotated[str, Text(r"[A-Za-z][A-Za-z0-9_]*", "a tool's name")], ...] = ()
    """Tools of the program's own, such as `Bash`, that it may use without asking anybody: with all
    the rights of this user. Empty: none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkersSettings:
    """One section for each kind of worker."""

    openai: OpenaiSettings = OpenaiSettings()
    anthropic: AnthropicSettings = AnthropicSettings()
    ollama: OllamaSettings = OllamaSettings()
    claude: ClaudeSettings = ClaudeSettings()

    def of(self, kind: ServiceKind) -> ServiceSettings:
        """The section of one kind of model service."""
        found: ServiceSettings = getattr(self, kind)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All of hum.json, with the environment of this run applied. Paths are absolute."""

    schema: str | None = field(default=None, metadata={"json": "$schema"})
    """For editors; hum does not read it."""
    log_level: LogLevel = "info"
    """How much services say on stderr."""
    humd: HumdSettings = HumdSettings()
    fs: FsSettings = FsSettings()
    nest: NestSettings = NestSettings()
    front: FrontSettings = FrontSettings()
    sidecar: SidecarSettings = SidecarSettings()
    workers: WorkersSettings = WorkersSettings()


def json_schema() -> dict[str, object]:
    """The JSON Schema (draft 2020-12) of hum.json, for editors."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "hum.json",
        **schema_of(Settings),
    }
