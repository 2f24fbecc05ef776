"""What a prompt wants of `claude`: which program exactly, and which lines on its input."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from thrum.ids import session_uuid
from thrum.tones import Body
from workers.core.anthropic import AnthropicWire
from workers.core.conversation import messages_of

ALWAYS = (
    *("-p", "--verbose", "--disable-slash-commands"),
    *("--input-format", "stream-json", "--output-format", "stream-json"),
    "--include-partial-messages",
    "--strict-mcp-config",
)
"""No tool server but ours, whatever the user has set up for the program elsewhere."""
SWITCHES: Mapping[str, str] = {
    "CLAUDE_CODE_DISABLE_CLAUDE_MDS": "1",
    "CLAUDE_CODE_DISABLE_AUTO_MEMORY": "1",
    "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "1",
    "CLAUDE_CODE_DISABLE_FAST_MODE": "1",
    "CLAUDE_CODE_DISABLE_ADAPTIVE_THINKING": "1",
    "DISABLE_INTERLEAVED_THINKING": "1",
    "ENABLE_TOOL_SEARCH": "false",
}
"""What a conversation that hum leads must not have from elsewhere, by the variable that says so."""
PASSED_ON = frozenset(
    {
        *("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "USER", "LOGNAME"),
        *("CLAUDE_CONFIG_DIR", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"),
    }
)
"""Variables of the worker that the program gets."""
PASSED_ON_PREFIX = "XDG_"
GO_ON = "Go on."
"""What is asked when a prompt says nothing new."""
_TOOL = re.compile(r"[A-Za-z][\w.:*()/ -]{0,199}")


@dataclass(frozen=True, slots=True)
class Wish:
    """For what a program is started; a conversation that wishes for something else gets another."""

    model: str
    cwd: str
    system: str
    """Instructions in place of the program's own; empty for those."""
    tools: tuple[str, ...]
    """Tools of the program's own that there are; each may be used without asking."""
    denied: tuple[str, ...] = ()


def wish_of(prompt: Mapping[str, Any], *, model: str, cwd: str, tools: Sequence[str]) -> Wish:
    """The wish of a prompt; it may have fewer of the `tools` than the owner allows, never more."""
    asked = prompt.get("allowedTools")
    allowed = tools if not isinstance(asked, list) else [name for name in tools if name in asked]
    denied = prompt.get("disallowedTools")
    names = denied if isinstance(denied, list) else []
    system = prompt.get("systemPrompt")
    return Wish(
        model=model,
        cwd=cwd,
        system=system if isinstance(system, str) else "",
        tools=tuple(allowed),
        denied=tuple(sorted({name for name in names if _is_tool(name)})),
    )


def session_of(sid: str, prompt: Mapping[str, Any]) -> str:
    """The program's name for a conversation: the prompt's own, else made from the sid as it came.

    Raises `ValueError` when the prompt has one that is none.
    """
    resume = prompt.get("resume")
    if isinstance(resume, str) and resume:
        return str(UUID(resume))
    return str(session_uuid(sid))


def arguments(wish: Wish, *, session: str, resumes: bool, system_path: str | None) -> list[str]:
    """The command line behind the program's name.

    The instructions are in a file: a command line is short, and everybody on the machine reads it.
    """
    found = [*ALWAYS, "--model", wish.model, "--tools", ",".join(wish.tools)]
    if wish.tools:
        found += ["--allowed-tools", " ".join(wish.tools)]
    if wish.denied:
        found += ["--disallowed-tools", " ".join(wish.denied)]
    if system_path is not None:
        found += ["--system-prompt-file", system_path]
    return [*found, "--resume" if resumes else "--session-id", session]


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """All variables of the program: those of the system and its own. None of ours, no key."""
    passed = {
        name: value
        for name, value in environ.items()
        if name in PASSED_ON or name.startswith(PASSED_ON_PREFIX)
    }
    return {**passed, **SWITCHES}


def content_of(prompt: Mapping[str, Any], *, is_new: bool) -> list[Body]:
    """The newest words of a prompt, in the shape in which `marked` finds attachments.

    A session `is_new` when the program knows nothing of what was said before: then that is told.
    """
    *earlier, newest = messages_of({**prompt, "systemPrompt": ""})
    if newest["role"] != "user":
        earlier, newest = [*earlier, newest], {"content": GO_ON}
    content = newest["content"]
    parts = content if isinstance(content, list) else [{"type": "text", "text": content or GO_ON}]
    if is_new and earlier:
        parts = [{"type": "text", "text": _told(earlier)}, *parts]
    return [{"role": "user", "content": parts}]


def user_line(messages: Sequence[Body]) -> bytes:
    """The line that asks, still with marks in place of attachments."""
    body = AnthropicWire().body({"model": "", "messages": list(messages)})
    content = body["messages"][-1]["content"] if body["messages"] else []
    return orjson.dumps(
        {"type": "user", "message": {"role": "user", "content": content}},
        option=orjson.OPT_APPEND_NEWLINE,
    )


def interrupt_line(request_id: str) -> bytes:
    """The line that has the program stop what it does, and wait for the next prompt."""
    request = {"subtype": "interrupt"}
    return orjson.dumps(
        {"type": "control_request", "request_id": request_id, "request": request},
        option=orjson.OPT_APPEND_NEWLINE,
    )


def _told(earlier: Sequence[Body]) -> str:
    """What was said before, for a program that was not there."""
    lines = []
    for message in earlier:
        content = message.get("content")
        if isinstance(content, list):
            content = "\n".join(str(part.get("text") or "") for part in content)
        if content:
            lines.append(f"<{message['role']}>\n{content}\n</{message['role']}>")
    return "\n".join(("What was said before, oldest first:", *lines, "What is said now:"))


def _is_tool(name: object) -> bool:
    return isinstance(name, str) and _TOOL.fullmatch(name) is not None
