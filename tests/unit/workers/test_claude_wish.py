"""What a prompt wants of `claude`."""

import orjson
import pytest

from workers.core.attachments import marked, splice
from workers.core.claude_wish import (
    GO_ON,
    SWITCHES,
    Wish,
    arguments,
    content_of,
    environment,
    interrupt_line,
    session_of,
    user_line,
    wish_of,
)

WISH = Wish(model="opus", cwd="/x", system="", tools=())


def wish(prompt: dict[str, object], *tools: str) -> Wish:
    return wish_of(prompt, model="opus", cwd="/x", tools=tools)


@pytest.mark.parametrize(
    ("sid", "session"),
    [
        ("sid-1", "13cea9ec-dca7-5328-8c47-7d0697efb7e0"),
        ("oai-c22b5f9178342609", "bc829293-4492-52a0-95c3-fce9b7209854"),
        ("", "7e86065f-03f5-549c-9e6d-b993cda0e652"),
        ("hum-X", "b41057e9-66d0-52d0-9835-7f424cf495c9"),
    ],
)
def test_the_name_of_a_session_never_changes(sid: str, session: str) -> None:
    """Features A3: transcripts stay reachable."""
    assert session_of(sid, {}) == session


def test_a_prompt_may_name_its_session_by_a_uuid_only() -> None:
    named = "13cea9ec-dca7-5328-8c47-7d0697efb7e0"

    assert session_of("s", {"resume": named.upper()}) == named
    with pytest.raises(ValueError, match="hexadecimal"):
        session_of("s", {"resume": "--dangerously-skip-permissions"})


def test_an_asker_may_narrow_what_the_owner_allows_and_never_widen_it() -> None:
    assert wish({}, "Bash", "Read").tools == ("Bash", "Read")
    assert wish({"allowedTools": ["Read", "Write"]}, "Bash", "Read").tools == ("Read",)
    assert wish({"allowedTools": ["Write"]}).tools == ()


def test_names_that_are_no_tools_are_left_out() -> None:
    denied = ["WebFetch", "--model", 7, "Bash(git:*)", "a" * 300, "x\ny"]

    assert wish({"disallowedTools": denied}).denied == ("Bash(git:*)", "WebFetch")


def test_the_command_line_asks_for_a_stream_and_for_no_tools() -> None:
    argv = arguments(WISH, session="u", resumes=True, system_path=None)

    assert argv == [
        "-p", "--verbose", "--disable-slash-commands",
        "--input-format", "stream-json", "--output-format", "stream-json",
        "--include-partial-messages", "--strict-mcp-config",
        "--model", "opus", "--tools", "", "--resume", "u",
    ]  # fmt: skip


def test_the_command_line_names_what_a_wish_has() -> None:
    full = Wish(model="opus", cwd="/x", system="s", tools=("A", "B"), denied=("C", "D"))

    argv = arguments(full, session="u", resumes=False, system_path="/f")

    assert argv[argv.index("--tools") :] == [
        "--tools", "A,B", "--allowed-tools", "A B", "--disallowed-tools", "C D",
        "--system-prompt-file", "/f", "--session-id", "u",
    ]  # fmt: skip


def test_no_key_and_nothing_of_ours_is_in_the_environment() -> None:
    given = {
        "HOME": "/h", "PATH": "/b", "XDG_CACHE_HOME": "/c", "HUM_ROOTS": "/r",
        "OPENAI_API_KEY": "k", "ANTHROPIC_BASE_URL": "http://127.0.0.1:14620",
    }  # fmt: skip

    assert environment(given) == {"HOME": "/h", "PATH": "/b", "XDG_CACHE_HOME": "/c", **SWITCHES}


def test_a_line_has_the_newest_words() -> None:
    history = [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]
    prompt = {"content": "three", "history": history, "systemPrompt": "Be brief."}

    assert orjson.loads(user_line(content_of(prompt, is_new=False))) == {
        "type": "user",
        "message": {"role": "user", "content": [{"type": "text", "text": "three"}]},
    }
    told = orjson.loads(user_line(content_of(prompt, is_new=True)))["message"]["content"]
    earlier, newest = (part["text"] for part in told)
    assert "<user>\none\n</user>\n<assistant>\ntwo\n</assistant>" in earlier
    assert newest == "three"


def test_a_prompt_that_says_nothing_new_has_the_program_go_on() -> None:
    history = [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]

    for prompt in ({"history": history}, {"content": ""}):
        line = orjson.loads(user_line(content_of(prompt, is_new=False)))
        assert line["message"]["content"] == [{"type": "text", "text": GO_ON}]


def test_attachments_stay_outside_until_the_end() -> None:
    url = f"attachment:image/png;sha256,{'a' * 64}"
    image = {"type": "image_url", "image_url": {"url": url}}
    messages, marks = marked(content_of({"content": [image]}, is_new=True), "n")

    line = orjson.loads(b"".join(splice(user_line(messages), marks, lambda _: b"aGk=")))

    source = {"type": "base64", "media_type": "image/png", "data": "aGk="}
    assert line["message"]["content"] == [{"type": "image", "source": source}]


def test_an_interrupt_is_a_request_of_its_own() -> None:
    assert interrupt_line("r") == (
        b'{"type":"control_request","request_id":"r","request":{"subtype":"interrupt"}}\n'
    )
