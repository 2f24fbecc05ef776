"""Files, and what tools show, in the words of each service."""

from base64 import b64encode
from typing import Any

from workers.core.anthropic import AnthropicWire
from workers.core.attachments import marked, splice
from workers.core.completions import Usage
from workers.core.ollama import OllamaWire
from workers.core.wires import OpenaiWire

PDF = "data:application/pdf;base64,JVBERi0="
NOTES = f"data:text/plain;base64,{b64encode(b'some notes').decode()}"
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBOR"}}


def file(url: str) -> dict[str, Any]:
    return {"type": "file", "file": {"url": url, "filename": "a.pdf"}}


def request(*messages: dict[str, Any]) -> dict[str, Any]:
    return {"model": "m", "messages": list(messages)}


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}


def shown(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": "c1", "content": list(parts)}


CALLED = {
    "role": "assistant", "content": None,
    "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "n", "arguments": "{}"}}],
}  # fmt: skip


def test_openai_gets_a_file_by_its_bytes_text_as_text_and_a_url_as_a_note() -> None:
    body = OpenaiWire().body(request(user(file(PDF), file(NOTES), file("https://x/a.pdf"))))

    data, text, note = body["messages"][0]["content"]
    assert data == {"type": "file", "file": {"filename": "a.pdf", "file_data": PDF}}
    assert text == {"type": "text", "text": "some notes"}
    assert "a.pdf" in note["text"]


def test_anthropic_gets_documents() -> None:
    body = AnthropicWire().body(request(user(file(PDF), file(NOTES), file("https://x/a.pdf"))))

    sources = [block["source"] for block in body["messages"][0]["content"]]
    assert sources == [
        {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
        {"type": "text", "media_type": "text/plain", "data": "some notes"},
        {"type": "url", "url": "https://x/a.pdf"},
    ]


def test_ollama_gets_text_and_otherwise_a_note() -> None:
    body = OllamaWire().body(request(user(file(PDF), file(NOTES), IMAGE)))

    told = body["messages"][0]
    assert "a.pdf" in told["content"]
    assert told["content"].endswith("some notes")
    assert told["images"] == ["iVBOR"]


def test_what_a_tool_shows_is_a_users_for_openai_and_stays_with_the_tool_elsewhere() -> None:
    asked = request(CALLED, shown({"type": "text", "text": "ok"}, IMAGE), user(IMAGE))

    tool, seen, _ = OpenaiWire().body(asked)["messages"][1:]
    assert (tool["role"], tool["content"].split("\n")[0]) == ("tool", "ok")
    assert seen == {"role": "user", "content": [IMAGE]}
    result = AnthropicWire().body(asked)["messages"][1]["content"][0]
    assert [block["type"] for block in result["content"]] == ["text", "image"]
    assert OllamaWire().body(asked)["messages"][1]["images"] == ["iVBOR"]


def test_a_file_beside_the_prompt_is_spliced_in() -> None:
    digest = "ab" * 32
    messages, marks = marked([user(file(f"attachment:application/pdf;sha256,{digest}"))], "n")

    url = OpenaiWire().body(request(*messages))["messages"][0]["content"][0]["file"]["file_data"]

    assert b"".join(splice(url.encode(), marks, lambda found: found.encode())) == (
        b"data:application/pdf;base64," + digest.encode()
    )


def test_reasoning_that_is_not_wanted_is_off() -> None:
    body = OllamaWire().body({**request(user(IMAGE)), "reasoning_effort": "none"})

    assert body["think"] is False


def test_what_an_asker_puts_into_headers_ends_no_line() -> None:
    def told(beta: object) -> dict[str, str]:
        return AnthropicWire().request_headers({"anthropic": {"beta": beta}})

    assert told("a-1,b-2") == {"anthropic-beta": "a-1,b-2"}
    for wrong in ("a\r\nx-api-key: b", "a\nb", "\u00e9", "", "x" * 9_000, 7, None):
        assert told(wrong) == {}


def test_a_prompt_of_which_the_service_counted_too_little_was_cut() -> None:
    """Features D7: what was evaluated is compared with what was sent."""
    asked = request({"role": "user", "content": "x" * 8_000})

    def was_cut(counted: int) -> bool:
        return OllamaWire().was_cut(asked, Usage(input_tokens=counted))

    assert [was_cut(counted) for counted in (0, 900, 1_000, 2_000)] == [False, True, False, False]
    assert not OpenaiWire().was_cut(asked, Usage(input_tokens=1))
