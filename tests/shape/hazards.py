"""What no file may contain, each with a snippet that must be caught and one that must pass."""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.shape.tree import Source

Finder = Callable[[Source], Iterator[ast.AST]]
EVERYWHERE = ("services", "tests", "benchmarks", "scripts")
SERVICES = ("services",)


@dataclass(frozen=True, slots=True)
class Hazard:
    """One ban."""

    what: str
    instead: str
    find: Finder
    caught: tuple[str, ...]
    """Snippets that must be found."""
    passes: tuple[str, ...]
    """Near neighbours that must not."""
    folders: tuple[str, ...] = EVERYWHERE
    exempt: tuple[str, ...] = ()
    """The files where the thing belongs."""


def uses(*banned: str) -> Finder:
    """Any mention of these dotted names, or of anything below them, imports included."""

    def find(source: Source) -> Iterator[ast.AST]:
        for node in source.nodes:
            if any(_is_or_below(name, banned) for name in _mentioned(source, node)):
                yield node

    return find


def attribute(*banned: str) -> Finder:
    """Any attribute or bare name so called, whatever owns it."""

    def find(source: Source) -> Iterator[ast.AST]:
        for node in source.nodes:
            if isinstance(node, ast.Name | ast.Attribute):
                name = source.dotted(node) or _last_name(node)
                if name.rpartition(".")[2] in banned:
                    yield node

    return find


def calls(*names: str, unless: Callable[[ast.Call], bool] = lambda call: False) -> Finder:
    """Calls of these dotted names; `.name` stands for a method of anything."""

    def find(source: Source) -> Iterator[ast.AST]:
        for call in _calls(source):
            dotted = source.dotted(call.func)
            method = f".{call.func.attr}" if isinstance(call.func, ast.Attribute) else ""
            if (dotted in names or method in names) and not unless(call):
                yield call

    return find


def keyword(name: str, value: object) -> Finder:
    """Calls with this keyword argument set to this constant."""

    def find(source: Source) -> Iterator[ast.AST]:
        for call in _calls(source):
            for given in call.keywords:
                constant = given.value
                if (
                    given.arg == name
                    and isinstance(constant, ast.Constant)
                    and constant.value is value
                ):
                    yield call

    return find


def swallowed_errors(source: Source) -> Iterator[ast.AST]:
    """Handlers that catch everything and do nothing."""
    for node in source.nodes:
        if isinstance(node, ast.ExceptHandler):
            caught = source.dotted(node.type) if node.type else ""
            empty = all(isinstance(line, ast.Pass | ast.Continue) for line in node.body)
            if empty and caught in {"", "Exception", "BaseException"} and not _is_tuple(node.type):
                yield node


def environment_reads(source: Source) -> Iterator[ast.AST]:
    """Reads of HOME and XDG variables, and what expands `~` behind our back."""
    for node in source.nodes:
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
            key: ast.AST | None = node.slice
        elif isinstance(node, ast.Call) and _last_name(node.func) in {"get", "getenv", "pop"}:
            key = node.args[0] if node.args else None
        else:
            continue
        if isinstance(key, ast.Constant) and re.fullmatch(r"HOME|XDG_[A-Z_]+", str(key.value)):
            yield node


def formatted_log_calls(source: Source) -> Iterator[ast.AST]:
    """Log calls whose message is put together before the call."""
    levels = {"debug", "info", "warning", "error", "exception", "critical"}
    for call in _calls(source):
        if not (isinstance(call.func, ast.Attribute) and call.func.attr in levels and call.args):
            continue
        if re.search(r"log(ger|ging)?$", source.dotted(call.func.value).lower()):
            message = call.args[0]
            formatted = isinstance(message, ast.Call) and _last_name(message.func) == "format"
            if isinstance(message, ast.JoinedStr | ast.BinOp) or formatted:
                yield call


def built_sql(source: Source) -> Iterator[ast.AST]:
    """SQL put together from strings."""
    for call in _calls(source):
        runs = _last_name(call.func) in {"execute", "executemany", "executescript"}
        if runs and call.args and isinstance(call.args[0], ast.JoinedStr | ast.BinOp | ast.Call):
            yield call


def compared_secrets(source: Source) -> Iterator[ast.AST]:
    """`==` between secrets, which tells by its timing how much of a guess was right."""
    for node in source.nodes:
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq):
            sides = (node.left, node.comparators[0])
            named = any(
                re.search(r"(token|secret|password|api_?key)$", _last_name(side)) for side in sides
            )
            if named and not any(isinstance(side, ast.Constant) for side in sides):
                yield node


def default_ports(source: Source) -> Iterator[ast.AST]:
    """The numbers of default ports; clients learn addresses from settings and runtime.json."""
    for node in source.nodes:
        if isinstance(node, ast.Constant) and node.value in {14620, 14600, 9909, 14730, 11434}:
            yield node


def _without_bounds(call: ast.Call) -> bool:
    given = {word.arg for word in call.keywords}
    return None in given or {"max_str_len", "max_array_len", "max_map_len"} <= given


def _with_filter(call: ast.Call) -> bool:
    return any(word.arg == "filter" for word in call.keywords)


def _with_safe_loader(call: ast.Call) -> bool:
    loaders = [word.value for word in call.keywords if word.arg == "Loader"] + call.args[1:]
    return any(_last_name(loader) in {"SafeLoader", "CSafeLoader"} for loader in loaders)


def _calls(source: Source) -> Iterator[ast.Call]:
    return (node for node in source.nodes if isinstance(node, ast.Call))


def _last_name(node: ast.AST) -> str:
    return str(getattr(node, "attr", getattr(node, "id", "")))


def _is_tuple(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Tuple)


def _mentioned(source: Source, node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [f"{node.module or ''}.{alias.name}" for alias in node.names]
    return [source.dotted(node)] if isinstance(node, ast.Attribute) else []


def _is_or_below(name: str, banned: tuple[str, ...]) -> bool:
    return any(name == each or name.startswith(f"{each}.") for each in banned)


HAZARDS = (
    Hazard(
        "pickle, marshal, shelve",
        "they run code on load: use msgpack or JSON",
        uses("pickle", "marshal", "shelve", "dill", "cloudpickle"),
        caught=("import pickle", "from marshal import loads", "import shelve as s"),
        passes=("pickles = 1", "import pickled"),
    ),
    Hazard(
        "objects over ZeroMQ",
        "they are pickles",
        attribute("recv_pyobj", "send_pyobj"),
        caught=("socket.recv_pyobj()", "peer().send_pyobj(1)"),
        passes=("socket.recv()",),
    ),
    Hazard(
        "yaml without a safe loader",
        "it runs code on load: use safe_load",
        calls("yaml.load", "yaml.load_all", "yaml.unsafe_load", unless=_with_safe_loader),
        caught=("import yaml\nyaml.load(text)", "from yaml import load\nload(text, Loader=Loader)"),
        passes=(
            "import yaml\nyaml.safe_load(text)",
            "import yaml\nyaml.load(text, Loader=yaml.SafeLoader)",
        ),
    ),
    Hazard(
        "eval and exec",
        "text is data",
        calls("eval", "exec", "builtins.eval", "builtins.exec"),
        caught=("eval('1')", "exec(text)", "import builtins\nbuiltins.exec(text)"),
        passes=("model.eval()", "evaluate(text)"),
    ),
    Hazard(
        "a shell in between",
        "argv lists; the one shell is the sandboxed tool",
        keyword("shell", value=True),
        caught=(
            "run('ls', shell=True)",
            "import subprocess\nsubprocess.Popen(command, shell=True)",
        ),
        passes=("run(['ls'], shell=False)", "run(['ls'])"),
    ),
    Hazard(
        "os.system and os.popen",
        "argv lists with subprocess",
        uses("os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"),
        caught=(
            "import os\nos.system('ls')",
            "from os import system",
            "import os as o\no.popen('ls')",
        ),
        passes=("import os\nos.getpid()", "import platform\nplatform.system()"),
    ),
    Hazard(
        "predictable temporary names",
        "mkstemp and mkdtemp",
        uses("tempfile.mktemp"),
        caught=("import tempfile\ntempfile.mktemp()", "from tempfile import mktemp"),
        passes=("import tempfile\ntempfile.mkstemp()",),
    ),
    Hazard(
        "extractall without a filter",
        "entries leave the folder: filter='data'",
        calls(".extractall", unless=_with_filter),
        caught=("archive.extractall(folder)",),
        passes=("archive.extractall(folder, filter='data')",),
    ),
    Hazard(
        "json.loads",
        "accepts NaN, lone surrogates and any depth: use orjson or thrum.lines",
        uses("json.loads", "json.load"),
        caught=(
            "import json\njson.loads(text)",
            "from json import loads",
            "import json as j\nj.load(file)",
        ),
        passes=("import json\njson.dumps(value)", "import orjson\norjson.loads(text)"),
    ),
    Hazard(
        "msgpack without maximum lengths",
        "max_str_len, max_array_len, max_map_len",
        calls("msgpack.unpackb", "msgpack.unpack", "msgpack.Unpacker", unless=_without_bounds),
        caught=(
            "import msgpack\nmsgpack.unpackb(data)",
            "from msgpack import Unpacker\nUnpacker(raw=False)",
        ),
        passes=(
            "import msgpack\nmsgpack.unpackb(data, **LIMITS)",
            "import msgpack\nmsgpack.packb(value)",
        ),
        folders=SERVICES,
    ),
    Hazard(
        "request.url",
        'built from the Host header: decide on scope["path"]',
        uses("request.url", "self.request.url"),
        caught=("request.url.path", "self.request.url"),
        passes=("response.url", "request.scope['path']"),
        folders=SERVICES,
    ),
    Hazard(
        "TLS without verification",
        "pin first, then speak",
        attribute("CERT_NONE", "_create_unverified_context"),
        caught=(
            "import ssl\ncontext.verify_mode = ssl.CERT_NONE",
            "from ssl import CERT_NONE\nmode = CERT_NONE",
        ),
        passes=("import ssl\nssl.CERT_REQUIRED",),
    ),
    Hazard(
        "another verifier of signatures",
        "thrum.keys: OpenSSL accepts forgeries for small-order keys",
        attribute("Ed25519PublicKey"),
        caught=(
            "from cryptography.x import Ed25519PublicKey\nEd25519PublicKey.from_public_bytes(key)",
        ),
        passes=("from thrum.keys import verify\nverify(key, message, signature)",),
    ),
    Hazard(
        "tasks without an owner",
        "a task group",
        calls("asyncio.create_task", "asyncio.ensure_future", ".create_task", ".ensure_future"),
        caught=("import asyncio\nasyncio.create_task(work())", "loop.create_task(work())"),
        passes=("tasks.start_soon(work)",),
    ),
    Hazard(
        "ZeroMQ outside nest.sockets",
        "unbounded by default: nest.sockets makes every socket",
        uses("zmq"),
        caught=("import zmq", "from zmq.asyncio import Context", "import zmq.asyncio as z"),
        passes=("import zmqish", "from nest.sockets import Router"),
        folders=SERVICES,
        exempt=("services/nest/sockets.py",),
    ),
    Hazard(
        "reading HOME and XDG variables",
        "nest.paths knows every place",
        environment_reads,
        caught=(
            "environ['HOME']",
            "import os\nos.environ.get('XDG_STATE_HOME', '')",
            "getenv('XDG_CACHE_HOME')",
        ),
        passes=("child['HOME'] = folder", "environ['HUM_ROOTS']", "{'HOME': folder}"),
        folders=SERVICES,
        exempt=("services/nest/paths.py",),
    ),
    Hazard(
        "expanding ~ by oneself",
        "Paths.expand",
        calls("os.path.expanduser", "pathlib.Path.home", ".expanduser"),
        caught=(
            "import os\nos.path.expanduser(text)",
            "from pathlib import Path\nPath.home()",
            "path.expanduser()",
        ),
        passes=("paths.expand(text)", "paths.home"),
        folders=SERVICES,
        exempt=("services/nest/paths.py",),
    ),
    Hazard(
        "a default port",
        "settings and runtime.json know it",
        default_ports,
        caught=("connect('127.0.0.1', 14620)",),
        passes=("connect(host, settings.front.port)",),
        folders=SERVICES,
        exempt=("services/nest/settings/model.py",),
    ),
    Hazard(
        "a log message put together before the call",
        "structured fields in extra=; they are escaped and redacted",
        formatted_log_calls,
        caught=(
            "log.info(f'hello {peer}')",
            "logger.error('a ' + b)",
            "self._log.warning('{}'.format(name))",
        ),
        passes=(
            "log.info('peer.joined', extra={'peer': peer})",
            "math.log(f(x))",
            "click.info(f'{x}')",
        ),
        folders=SERVICES,
    ),
    Hazard(
        "everything caught and forgotten",
        "catch what you expect; or answer and log",
        swallowed_errors,
        caught=("try:\n    f()\nexcept Exception:\n    pass", "try:\n    f()\nexcept:\n    pass"),
        passes=(
            "try:\n    f()\nexcept OSError:\n    pass",
            "try:\n    f()\nexcept (OSError, EOFError):\n    pass",
        ),
    ),
    Hazard(
        "SQL built from strings",
        "parameters",
        built_sql,
        caught=(
            "db.execute(f'select {x}')",
            "db.execute('select ' + x)",
            "db.execute('{}'.format(x))",
        ),
        passes=("db.execute('select ?', (x,))",),
    ),
    Hazard(
        "== on secrets",
        "hmac.compare_digest",
        compared_secrets,
        caught=("if given == self.token: ...", "ok = api_key != wanted"),
        passes=("if token == '': ...", "if hash == other: ..."),
        folders=SERVICES,
    ),
)
