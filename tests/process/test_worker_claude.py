"""The worker for Claude Code with real processes and a `claude` that has no model (features D5)."""

import uuid
from itertools import pairwise
from pathlib import Path

import anyio
import orjson
import pytest
from tests.support.claude import MODEL, end_of, rig, text_of
from tests.support.escapes import ECHO

from thrum.ids import NS_CLAUDE_SESSION
from workers.claude_cli.agent import sweep
from workers.claude_cli.exchange import Patience
from workers.claude_cli.sessions import projects_of

pytestmark = pytest.mark.process


async def test_an_answer_is_streamed_with_its_reasoning_and_what_it_cost(home: Path) -> None:
    async with rig(home) as one:
        tones = await one.said("think hm\nsay hello there", history=[])

    assert text_of(tones) == "hello there"
    kinds = [tone.body["chunkType"] for tone in tones if tone.chi == "chunk"]
    assert kinds == [
        *("reasoning_start", "reasoning_delta", "reasoning_signature", "reasoning_end"),
        *("content_block_stop", "text_start", *("text_delta",) * 3, "content_block_stop"),
    ]
    assert end_of(tones) == {
        "chi": "finish", "finishReason": "end_turn", "model": MODEL,
        "usage": {
            "input_tokens": 10, "output_tokens": 5,
            "cache_read_input_tokens": 3, "cache_creation_input_tokens": 0,
        },
        "providerMetadata": {"totalCostUsd": 0.01, "rounds": 1},
    }  # fmt: skip
    ready = next(tone.body for tone in tones if tone.chi == "session-ready")
    assert ready == {
        "nestId": str(uuid.uuid5(NS_CLAUDE_SESSION, "s")), "model": MODEL, "tools": [],
    }  # fmt: skip


async def test_a_conversation_keeps_its_process_and_goes_on_in_another_one(home: Path) -> None:
    async with rig(home) as one:
        await one.said("say one")
        await one.said("say two")
        assert len(one.pids()) == 1
        one.bus.hear("cleanup", "s")
        while len(one.pool):
            await anyio.lowlevel.checkpoint()
        tones = await one.said("args")

        argv = orjson.loads(text_of(tones))
        assert argv[argv.index("--resume") + 1] == str(uuid.uuid5(NS_CLAUDE_SESSION, "s"))
        assert len(one.pids()) == 2


async def test_a_program_is_started_once_whatever_the_prompt_says_of_its_history(
    home: Path,
) -> None:
    elsewhere = {"HOME": str(home), "CLAUDE_CONFIG_DIR": str(home / "own")}
    async with rig(home, environ=elsewhere, projects=projects_of(elsewhere, home)) as one:
        tones = await one.said("args")
        again = await one.said("args", history=[], systemPrompt="Be brief.")

    assert "--session-id" in orjson.loads(text_of(tones))
    assert "--resume" in orjson.loads(text_of(again))
    assert len(one.pids()) == 2


async def test_a_session_that_is_not_where_it_seemed_to_be_is_begun(home: Path) -> None:
    """The program looks for it in the folder in which it stands."""
    for folder in ("here", "there"):
        (home / folder).mkdir()
    async with rig(home, roots=(str(home),)) as one:
        await one.said("say one", cwd=str(home / "here"))
        tones = await one.said("args", cwd=str(home / "there"))

    assert "--session-id" in orjson.loads(text_of(tones))
    assert len(one.pids()) == 3


async def test_the_program_gets_what_the_prompt_wants_and_nothing_of_ours(home: Path) -> None:
    root = home / "code"
    root.mkdir()
    async with rig(home, tools=("Bash", "Read"), roots=(str(root),)) as one:
        tones = await one.said(
            "args", history=[], systemPrompt="Be brief.", cwd=str(root), allowedTools=["Read"],
            disallowedTools=["WebFetch", "--model"],
        )  # fmt: skip
        *argv, system, cwd = orjson.loads(text_of(tones))
        secret = await one.said("own HUM_SECRET", "t", history=[])
        elsewhere = orjson.loads(text_of(await one.said("args", "u", history=[], cwd="/etc")))

    told = dict(pairwise(argv))
    assert (told["--model"], told["--tools"], told["--allowed-tools"]) == (MODEL, "Read", "Read")
    assert told["--disallowed-tools"] == "WebFetch"
    assert "--dangerously-skip-permissions" not in argv
    assert (system, cwd) == ("Be brief.", str(root))
    assert "Be brief." not in argv
    assert text_of(secret) == "nothing"
    assert elsewhere[-1] == str(home / "cells")


async def test_another_wish_is_another_process_of_the_same_session(home: Path) -> None:
    async with rig(home) as one:
        await one.said("say one", history=[])
        tones = await one.said("args", history=[], systemPrompt="Be brief.")

    assert len(one.pids()) == 2
    assert "--resume" in orjson.loads(text_of(tones))


async def test_a_new_session_is_told_what_was_said_before(home: Path) -> None:
    history = [
        {"role": "user", "content": "my name is Ada"},
        {"role": "assistant", "content": "hi"},
    ]
    async with rig(home) as one:
        tones = await one.said("say what is it", history=history)
        again = await one.said("say and now", history=history)

    assert "my name is Ada" in text_of(tones)
    assert text_of(again) == "and now"


async def test_images_reach_the_program_as_images(home: Path) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
    async with rig(home) as one:
        tones = await one.said([{"type": "text", "text": "look"}, image], history=[])

    assert text_of(tones) == "lookimage"


async def test_tools_of_its_own_and_text_that_was_not_streamed_are_told(home: Path) -> None:
    async with rig(home) as one:
        tones = await one.said("tool Bash\nwhole all at once", history=[])

    call = next(tone.body for tone in tones if tone.body.get("chunkType") == "tool_call")
    assert (call["toolName"], call["input"]) == ("Bash", {"at": "x"})
    result = next(tone.body for tone in tones if tone.body.get("chunkType") == "tool_result")
    assert (result["toolCallId"], result["result"]) == (call["toolCallId"], "done")
    assert text_of(tones) == "all at once"


async def test_a_failure_of_the_service_is_told_in_its_words(home: Path) -> None:
    async with rig(home) as one:
        end = end_of(await one.said("fail 529", history=[]))

    assert (end["chi"], end["code"], end["qualifier"]) == ("error", 529, "upstream.failed")
    assert end["message"] == "claude: API Error: 529 overloaded"


async def test_a_program_that_ends_is_told_with_its_last_words_and_the_next_prompt_works(
    home: Path,
) -> None:
    async with rig(home) as one:
        end = end_of(await one.said("exit 7", history=[]))
        after = await one.said("say still here", history=[])

    assert (end["chi"], end["code"], end["qualifier"]) == ("error", 502, "upstream.failed")
    assert "status 7" in end["message"]
    assert "cannot go on" in end["message"]
    assert text_of(after) == "still here"


async def test_when_no_program_can_begin_the_reasons_are_told(home: Path) -> None:
    broken = home / "broken"
    broken.write_text("#!/bin/sh\necho 'Error: not logged in' >&2\nexit 1\n")
    broken.chmod(0o700)
    async with rig(home, path=str(broken)) as one:
        end = end_of(await one.said("say hi"))
        assert len(one.pids()) == 2
    (home / "cells").rmdir()
    async with rig(home, path="/nowhere/claude") as one:
        absent = end_of(await one.said("say hi"))

    assert (end["chi"], end["qualifier"]) == ("error", "upstream.failed")
    assert end["message"].count("not logged in") == 2
    assert (absent["chi"], absent["qualifier"]) == ("error", "upstream.failed")
    assert "was not started" in absent["message"]


async def test_a_program_that_rested_and_hangs_is_replaced(home: Path) -> None:
    patience = Patience(rested_seconds=0.2)
    async with rig(home, patience) as one:
        await one.said("say one\nhang exit", history=[])
        tones = await one.said("say two")

    assert text_of(tones) == "two"
    assert end_of(tones)["chi"] == "finish"
    assert len(one.pids()) == 2


async def test_a_cancel_keeps_a_process_that_listens(home: Path) -> None:
    async with rig(home) as one:
        one.ask("slow", history=[])
        await one.bus.wait(3, "chunk")
        one.bus.hear("cancel", "s")
        end = end_of(await one.answer())
        after = await one.said("say on we go")

    assert (end["chi"], end["finishReason"]) == ("finish", "cancelled")
    assert end["usage"]["output_tokens"] == 5
    assert text_of(after) == "on we go"
    assert len(one.pids()) == 1


async def test_a_session_id_that_is_none_is_refused(home: Path) -> None:
    async with rig(home) as one:
        end = end_of(await one.said("hi", resume="--dangerously-skip-permissions"))

    assert (end["chi"], end["code"]) == ("error", 400)
    assert one.pids() == []


def test_instructions_that_a_killed_worker_left_are_removed(tmp_path: Path) -> None:
    (tmp_path / "ab.instructions").write_text("Be brief.")
    (tmp_path / "other").write_text(ECHO)

    sweep(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["other"]
