"""A `claude` that speaks the real protocol and has no model: what it says is in its prompt.

It runs as a program of its own, by `install`; it uses nothing of the project, and little else, so
that it starts fast. Sessions are files below its home. A prompt is one or more orders, one on each
line; anything else is said back:

    think TEXT | say TEXT | tool NAME | whole TEXT | own ENV | args | fail STATUS | exit STATUS
    slow         one piece after the other, until interrupted
    hang KIND    see `hang`
    limits       the limits that it has
    eat WHAT     memory, files, processes, processor time (cpu), until a limit ends it
"""

import json
import os
import resource
import select
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

PIECE_SECONDS = 0.02
PIECES = 2_000
FOREVER = 10_000
EATEN_MAX = 200
"""Of whatever is eaten, should no limit stand."""
READ = json.JSONDecoder().decode
HANGS = ("exit", "middle", "busy", "no-result", "eof", "deaf")


def install(folder: "Path") -> "Path":
    """Put the program into a folder, as `claude`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "claude"
    with open(__file__) as file:
        path.write_text(f"#!{sys.executable} -IS\n{file.read()}")
    path.chmod(0o700)
    return path


class Interrupted(Exception):
    """The asker wants no more."""


class Claude:
    """One process."""

    def __init__(self, argv: list[str]) -> None:
        self.argv = argv
        self.model = self.option("--model")
        self.session = self.option("--resume") or self.option("--session-id")
        self.turn = 0
        self.held = b""
        own = os.environ.get("CLAUDE_CONFIG_DIR") or os.path.join(os.environ["HOME"], ".claude")
        self.folder = os.path.join(own, "projects", os.getcwd().replace("/", "-"))
        self.file = os.path.join(self.folder, f"{self.session}.jsonl")
        with open(self.option("--system-prompt-file") or os.devnull) as file:
            self.system = file.read()

    def option(self, name: str) -> str:
        return self.argv[self.argv.index(name) + 1] if name in self.argv else ""

    def begin(self) -> None:
        """As the real one: a session that is not there, or is there already, ends it."""
        if "--resume" in self.argv and not os.path.exists(self.file):
            text = f"No conversation found with session ID: {self.session}"
            self.say(
                type="result", subtype="error_during_execution", is_error=True,
                session_id=self.session, errors=[text], usage={},
            )  # fmt: skip
            sys.exit(text)
        if "--session-id" in self.argv and os.path.exists(self.file):
            sys.exit(f"Error: Session ID {self.session} is already in use.")
        if self.option("--input-format") != "stream-json" or "--verbose" not in self.argv:
            sys.exit("Error: --output-format=stream-json requires --verbose")
        os.makedirs(self.folder, exist_ok=True)

    def run(self) -> None:
        while (line := self.read()) is not None:
            told = READ(line.decode())
            if told["type"] == "user":
                with open(self.file, "a") as file:
                    file.write(line.decode() + "\n")
                self.answer(told["message"]["content"])

    def read(self, seconds: float | None = None) -> bytes | None:
        """The next line; None at the end, or when none came in time."""
        while b"\n" not in self.held:
            if seconds is not None and not select.select([0], [], [], seconds)[0]:
                return None
            piece = os.read(0, 65_536)
            if not piece:
                return None
            self.held += piece
        line, _, self.held = self.held.partition(b"\n")
        return line

    def say(self, **event: object) -> None:
        sys.stdout.write(json.dumps(event) + "\n")
        sys.stdout.flush()

    def event(self, kind: str, **fields: object) -> None:
        self.say(type="stream_event", session_id=self.session, parent_tool_use_id=None,
                 event={"type": kind, **fields})  # fmt: skip

    def block(self, kind: str, deltas: list[dict[str, str]]) -> None:
        index = self.index
        self.index += 1
        self.event("content_block_start", index=index, content_block={"type": kind})
        for delta in deltas:
            self.event("content_block_delta", index=index, delta=delta)
        self.event("content_block_stop", index=index)

    def text(self, text: str) -> None:
        pieces = [{"type": "text_delta", "text": piece} for piece in text.partition(" ") if piece]
        self.block("text", pieces)
        self.said.append({"type": "text", "text": text})

    def answer(self, content: list[dict[str, object]]) -> None:
        orders = "\n".join(str(part.get("text", part["type"])) for part in content)
        if orders == "hang eof":
            while self.read() is not None:
                pass
        self.turn += 1
        self.index, self.said = 0, list[dict[str, object]]()
        self.say(type="system", subtype="init", session_id=self.session, model=self.model,
                 tools=[name for name in self.option("--tools").split(",") if name],
                 cwd=os.getcwd())  # fmt: skip
        self.say(type="system", subtype="status", status="requesting")
        message = {"id": f"msg_{os.getpid()}_{self.turn}", "model": self.model,
                   "usage": {"input_tokens": 10, "output_tokens": 1}}  # fmt: skip
        self.event("message_start", message=message)
        try:
            for order in orders.split("\n"):
                self.obey(*order.partition(" ")[::2])
        except Interrupted:
            self.say(type="assistant", message={**message, "content": self.said})
            self.say(type="user", message={"content": [{"type": "text", "text": "[Request "
                     "interrupted by user]"}]})  # fmt: skip
            self.result(subtype="error_during_execution", is_error=True)
            return
        self.say(type="assistant", message={**message, "content": self.said})
        self.event("message_delta", delta={"stop_reason": "end_turn"},
                   usage={"output_tokens": 5})  # fmt: skip
        self.event("message_stop")
        if "hang no-result" in orders:
            time.sleep(FOREVER)
        self.result(subtype="success", is_error=False, result="".join(
            str(one.get("text", "")) for one in self.said))  # fmt: skip
        if "hang exit" in orders:
            os.close(0)
            time.sleep(FOREVER)

    def result(self, **fields: object) -> None:
        self.say(type="result", session_id=self.session, num_turns=1, total_cost_usd=0.01,
                 usage={"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 3},
                 **fields)  # fmt: skip

    def obey(self, order: str, rest: str) -> None:
        method = getattr(self, f"do_{order}", None)
        if method is not None:
            method(rest)
        else:
            self.text(f"{order} {rest}".strip())

    def do_say(self, text: str) -> None:
        self.text(text)

    def do_think(self, text: str) -> None:
        self.block("thinking", [{"type": "thinking_delta", "thinking": text},
                                {"type": "signature_delta", "signature": "sig"}])  # fmt: skip

    def do_tool(self, name: str) -> None:
        call = {"type": "tool_use", "id": "toolu_1", "name": name, "input": {"at": "x"}}
        self.say(type="assistant", message={"id": "msg_call", "model": self.model,
                                            "content": [call]})  # fmt: skip
        self.say(type="user", message={"content": [{"type": "tool_result", "tool_use_id": "toolu_1",
                                                    "content": "done"}]})  # fmt: skip

    def do_whole(self, text: str) -> None:
        content = [{"type": "text", "text": text}]
        message = {"id": "msg_whole", "model": self.model, "content": content}
        self.say(type="assistant", message=message)

    def do_own(self, name: str) -> None:
        self.text(os.environ.get(name, "nothing"))

    def do_args(self, _: str) -> None:
        self.text(json.dumps([*self.argv, self.system, os.getcwd()]))

    def do_fail(self, status: str) -> None:
        self.say(type="assistant", message={"id": "msg_fail", "model": "<synthetic>", "content": [
            {"type": "text", "text": f"API Error: {status}"}]})  # fmt: skip
        self.result(subtype="success", is_error=True, api_error_status=int(status),
                    result=f"API Error: {status} overloaded")  # fmt: skip
        raise SystemExit(1)

    def do_exit(self, status: str) -> None:
        sys.stderr.write("cannot go on\n")
        sys.stderr.flush()
        os._exit(int(status))

    def do_slow(self, _: str) -> None:
        for number in range(PIECES):
            self.text(f"piece {number}")
            line = self.read(PIECE_SECONDS)
            told = READ(line.decode()) if line else {}
            if told.get("type") == "control_request":
                self.say(type="control_response", response={
                    "subtype": "success", "request_id": told["request_id"]})  # fmt: skip
                raise Interrupted

    def do_limits(self, _: str) -> None:
        kinds = (resource.RLIMIT_DATA, resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC,
                 resource.RLIMIT_CPU)  # fmt: skip
        self.text(" ".join(str(resource.getrlimit(kind)[1]) for kind in kinds))

    def do_eat(self, what: str) -> None:
        held: list[object] = []
        while what == "cpu":
            pass
        for _ in range(EATEN_MAX):
            if what == "memory":
                held.append(bytearray(b"x" * (8 * 1024 * 1024)))
            elif what == "files":
                held.append(os.dup(2))
            elif what == "processes" and not os.fork():
                time.sleep(FOREVER)

    def do_hang(self, kind: str) -> None:
        """In the middle of a turn: what comes after is for the other kinds."""
        if kind == "middle":
            self.text("half an")
            time.sleep(FOREVER)
        if kind == "busy":
            if not os.fork():
                os.setsid()
                time.sleep(FOREVER)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            while True:
                self.text("nobody hears this")
                time.sleep(PIECE_SECONDS)
        if kind == "deaf":
            while True:
                self.text("on and on")
                time.sleep(PIECE_SECONDS)


def main() -> None:
    claude = Claude(sys.argv[1:])
    claude.begin()
    claude.run()


if __name__ == "__main__":
    main()
