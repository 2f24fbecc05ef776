"""A prompt's body as messages of the chat-completions dialect (docs/wire.md, prompt)."""

from base64 import b64decode
from collections.abc import Iterable, Mapping
from typing import Any

from thrum.tones import Body
from workers.core.catalogue import Catalogue

OUR_SIGNATURE = "hum"
"""What our front signs the thinking of services with that sign nothing; none takes it back."""
ROLES = frozenset({"system", "user", "assistant", "tool"})
SAMPLING: Mapping[str, str] = {
    "temperature": "temperature",
    "topP": "top_p",
    "stop": "stop",
    "seed": "seed",
    "frequencyPenalty": "frequency_penalty",
    "presencePenalty": "presence_penalty",
    "responseFormat": "response_format",
    "reasoningEffort": "reasoning_effort",
    "verbosity": "verbosity",
    "logitBias": "logit_bias",
    "topK": "top_k",
    "contextTokens": "num_ctx",
    "thinking": "thinking",
    "think": "think",
    "anthropic": "anthropic",
}
"""Sampling parameters by their name on the wire; each dialect leaves out what it does not have."""


def user_text(prompt: Mapping[str, Any]) -> str:
    """The newest user turn as text; parts that are no text are left out."""
    content = prompt.get("content", prompt.get("text"))
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict))
        return "\n".join(text for text in parts if isinstance(text, str))
    return content if isinstance(content, str) else ""


def messages_of(prompt: Mapping[str, Any], remembered: Iterable[Body] = ()) -> list[Body]:
    """The conversation so far, newest turn last.

    `history` in the prompt is the truth about earlier turns; without one `remembered` stands in.
    """
    messages: list[Body] = []
    system = prompt.get("systemPrompt")
    if isinstance(system, str) and system:
        messages.append({"role": "system", "content": system})
    history = prompt.get("history")
    if isinstance(history, list):
        messages += [_message(entry) for entry in history if _is_message(entry)]
    else:
        messages += remembered
    newest = _newest(prompt, required=not history)
    if newest is not None:
        messages.append({"role": "user", "content": newest})
    return messages


def sampling_of(prompt: Mapping[str, Any], *, has_tools: bool) -> Body:
    """The request's parameters that the asker chose; `max_tokens` under its widely known name."""
    sampling = prompt.get("sampling")
    if not isinstance(sampling, dict):
        return {}
    chosen = {
        name: sampling[ours] for ours, name in SAMPLING.items() if sampling.get(ours) is not None
    }
    if sampling.get("maxTokens") is not None:
        chosen["max_tokens"] = sampling["maxTokens"]
    if has_tools:
        if sampling.get("toolChoice") is not None:
            chosen["tool_choice"] = sampling["toolChoice"]
        if sampling.get("parallelToolCalls") is not None:
            chosen["parallel_tool_calls"] = sampling["parallelToolCalls"]
    return chosen


def definitions_of(catalogue: Catalogue) -> list[Body]:
    """The catalogue as the service wants it."""
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.schema,
            },
        }
        for tool in catalogue.values()
    ]


def thinking_in(messages: Iterable[Body]) -> int:
    """How many blocks of a service's own thinking are in a conversation."""
    blocks = (block for message in messages for block in message.get("thinking") or ())
    return sum(
        isinstance(block, dict) and block.get("signature") != OUR_SIGNATURE for block in blocks
    )


def _is_message(entry: object) -> bool:
    return isinstance(entry, dict) and entry.get("role") in ROLES


def _message(entry: Mapping[str, Any]) -> Body:
    """The keys of one earlier message that a service understands."""
    message: Body = {"role": entry["role"], "content": entry.get("content")}
    for key in ("tool_calls", "tool_call_id", "name", "thinking", "is_error"):
        if entry.get(key) is not None:
            message[key] = entry[key]
    if message["content"] is None and not message.get("tool_calls"):
        message["content"] = ""
    return message


def _newest(prompt: Mapping[str, Any], *, required: bool) -> str | list[Body] | None:
    """The content of the newest user turn; None when there is none and nothing `required` it."""
    content = prompt.get("content", prompt.get("text"))
    parts = list(_parts(content))
    attachments = prompt.get("attachments")
    if isinstance(attachments, list):
        parts += [_attached(entry) for entry in attachments if isinstance(entry, dict)]
    if all(part["type"] == "text" for part in parts):
        text = "\n".join(part["text"] for part in parts)
        return text if text or required else None
    return parts


def _parts(content: object) -> Iterable[Body]:
    if isinstance(content, str):
        yield _text(content)
    elif isinstance(content, list):
        for part in content:
            if isinstance(part, str):
                yield _text(part)
            elif isinstance(part, dict):
                yield _part(part)


def _part(part: Mapping[str, Any]) -> Body:
    if isinstance(part.get("text"), str):
        return _text(part["text"])
    if part.get("type") == "image_url" and part.get("image_url"):
        return {"type": "image_url", "image_url": part["image_url"]}
    if part.get("type") == "file" and isinstance(part.get("file"), dict):
        return {"type": "file", "file": part["file"]}
    return _text(f"[a part of type {part.get('type')!r} that this model does not get]")


def _attached(entry: Mapping[str, Any]) -> Body:
    """An image as an image, a file as a file; anything else as a note."""
    kind, media, url = entry.get("kind"), entry.get("mediaType"), entry.get("url")
    if kind in ("image", "file") and isinstance(entry.get("data"), str):
        url = f"data:{media};base64,{entry['data']}"
    if kind == "image" and isinstance(url, str):
        return {"type": "image_url", "image_url": {"url": url}}
    if kind == "file" and isinstance(url, str):
        name = entry.get("name")
        return {"type": "file", "file": {"url": url, "filename": name or "document"}}
    return _text(f"[attachment: {kind}, {media}{f', {url}' if url else ''}]")


def _text(text: str) -> Body:
    return {"type": "text", "text": text}


def file_note(file: Mapping[str, Any]) -> str:
    """What a model reads in place of a file that its service does not take."""
    return f"[the file {file.get('filename') or 'document'}, which this model cannot be given]"


def file_text(file: Mapping[str, Any]) -> str | None:
    """The text of a file that is text and travels in the prompt; None for any other."""
    head, _, data = str(file.get("url")).partition(";base64,")
    if not head.startswith("data:text/") or "@" in data:
        return None
    try:
        return b64decode(data, validate=True).decode()
    except ValueError:
        return None
