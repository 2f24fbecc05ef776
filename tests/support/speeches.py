"""What the services of Anthropic and Ollama say, for `ScriptedUpstream`."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.support.upstream import Answer, Fault, Speech, WantedCall, vector_of

SIGNATURE = "c2lnbmVk"
CONTEXT_TOKENS = 16_384


def _event(kind: str, **fields: Any) -> bytes:
    body = json.dumps({"type": kind, **fields})
    return f"event: {kind}\ndata: {body}\n\n".encode()


def _message_events(answer: Answer, request: Mapping[str, Any]) -> Iterator[bytes]:
    prompt, output = answer.usage or (0, 0)
    usage = {"input_tokens": prompt - answer.cached, "output_tokens": 1}
    usage["cache_read_input_tokens"] = answer.cached
    message = {"id": "msg_1", "type": "message", "role": "assistant", "content": []}
    yield _event("message_start", message={**message, "model": "m", "usage": usage})
    yield _event("ping")
    index = 0
    if answer.redacted:
        yield from _block(index, {"type": "redacted_thinking", "data": answer.redacted}, [])
        index += 1
    if answer.reasoning:
        block: dict[str, Any] = {"type": "thinking", "thinking": "", "signature": ""}
        deltas = [{"type": "thinking_delta", "thinking": text} for text in answer.reasoning]
        deltas.append({"type": "signature_delta", "signature": SIGNATURE})
        yield from _block(index, block, deltas)
        index += 1
    if not answer.calls or answer.pieces != ("pong",):
        deltas = [{"type": "text_delta", "text": text} for text in answer.pieces]
        yield from _block(index, {"type": "text", "text": ""}, deltas)
        index += 1
    for place, call in enumerate(answer.calls, index):
        block = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
        text = json.dumps(call.args)
        pieces = [text[start : start + 5] for start in range(0, len(text), 5)]
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
        yield from _block(place, block, deltas)
    if answer.fault is Fault.END_WITHOUT_REASON:
        return
    reason = {"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens"}[answer.reason]
    delta = {"stop_reason": reason, "stop_sequence": None}
    yield _event("message_delta", delta=delta, usage={"output_tokens": output})
    yield _event("message_stop")


def _block(index: int, block: Mapping[str, Any], deltas: Sequence[object]) -> Iterator[bytes]:
    yield _event("content_block_start", index=index, content_block=block)
    for delta in deltas:
        yield _event("content_block_delta", index=index, delta=delta)
    yield _event("content_block_stop", index=index)


def _message(answer: Answer) -> dict[str, Any]:
    return {
        "type": "message", "role": "assistant", "stop_reason": "end_turn",
        "content": [{"type": "text", "text": "".join(answer.pieces)}],
        "usage": dict(zip(("input_tokens", "output_tokens"), answer.usage or (0, 0), strict=True)),
    }  # fmt: skip


def _anthropic_told(
    method: str, path: str, asked: Mapping[str, Any], models: Sequence[str]
) -> dict[str, Any] | None:
    if (method, path.partition("?")[0]) != ("GET", "/v1/models"):
        return None
    return {"data": [{"type": "model", "id": model} for model in models], "has_more": False}


ANTHROPIC = Speech(
    base="",
    path="/v1/messages",
    content_type="text/event-stream",
    events=_message_events,
    whole=_message,
    error_event=lambda message: _event(
        "error", error={"type": "overloaded_error", "message": message}
    ),
    told=_anthropic_told,
    first=4,
)


def _line(**fields: Any) -> bytes:
    return (
        json.dumps({"model": "m", "created_at": "2026-01-01T00:00:00Z", **fields}).encode() + b"\n"
    )


def _said(content: str = "", **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **more}


def _lines(answer: Answer, request: Mapping[str, Any]) -> Iterator[bytes]:
    for text in answer.reasoning:
        yield _line(message=_said(thinking=text), done=False)
    for text in answer.pieces if not answer.calls or answer.pieces != ("pong",) else ():
        yield _line(message=_said(text), done=False)
    if answer.calls:
        calls = [_ollama_call(call) for call in answer.calls]
        yield _line(message=_said(tool_calls=calls), done=False)
    if answer.fault is not Fault.END_WITHOUT_REASON:
        yield _line(**_done(answer), message=_said())


def _ollama_call(call: WantedCall) -> dict[str, Any]:
    return {"function": {"name": call.name, "arguments": call.args}}


def _done(answer: Answer) -> dict[str, Any]:
    prompt, output = answer.usage or (0, 0)
    reason = "length" if answer.reason == "length" else "stop"
    return {
        "done": True, "done_reason": reason, "prompt_eval_count": prompt, "eval_count": output,
    }  # fmt: skip


def _ollama_told(
    method: str, path: str, asked: Mapping[str, Any], models: Sequence[str]
) -> dict[str, Any] | None:
    if (method, path) == ("GET", "/api/tags"):
        return {"models": [{"name": f"{model}:latest"} for model in models]}
    if (method, path) == ("POST", "/api/show"):
        return {"model_info": {"llama.context_length": CONTEXT_TOKENS}, "capabilities": []}
    if (method, path) == ("POST", "/api/embed"):
        found = [vector_of(entry) for entry in asked["input"]]
        return {"model": asked["model"], "embeddings": found, "prompt_eval_count": len(found)}
    return None


OLLAMA = Speech(
    base="",
    path="/api/chat",
    content_type="application/x-ndjson",
    events=_lines,
    whole=lambda answer: {"message": _said("".join(answer.pieces)), **_done(answer)},
    error_event=lambda message: json.dumps({"error": message}).encode() + b"\n",
    told=_ollama_told,
)
