"""What supervisord and the launcher are given."""

import configparser
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orch.core.merge import merge
from orch.core.orchfile import OrchfileRefused, parse
from orch.core.programs import Place, Program, compile_programs, conf_value, render_master
from orch.core.services import read_services

PLACE = Place(
    python="/opt/my python/bin/python",
    project="/s",
    logs="/s/logs",
    specs="/s/supervisor/programs",
    listener="/lib/orch/listener.py",
    mark="/s/supervisor",
)


def programs(text: str) -> tuple[Program, ...]:
    blocks = merge([parse("x.orch", text)], supplied={}, overrides={})
    return compile_programs(read_services(blocks), PLACE)


def spec(program: Program) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(program.spec)
    return found


def section(program: Program) -> configparser.SectionProxy:
    parser = configparser.RawConfigParser(inline_comment_prefixes=(" ;",))
    parser.read_string(program.section)
    return parser[parser.sections()[0]]


def test_a_service_becomes_one_section_that_runs_the_launcher() -> None:
    (one,) = programs("SERVICE one\nRUN x y\nRESTART on-failure\nTIMEOUT_STOP 7s")

    assert one.section == (
        "[program:hum-one]\n"
        "command='/opt/my python/bin/python' -P -m orch.launch /s/supervisor/programs/one.json\n"
        "autostart=true\n"
        "autorestart=unexpected\n"
        "exitcodes=0,78,111\n"
        "startretries=10\n"
        "startsecs=0\n"
        "priority=100\n"
        "stopsignal=TERM\n"
        "stopasgroup=true\n"
        "killasgroup=true\n"
        "stopwaitsecs=7\n"
        "stdout_logfile=/s/logs/one.log\n"
        "stdout_logfile_maxbytes=10485760\n"
        "stdout_logfile_backups=3\n"
        "redirect_stderr=true\n"
    )


def test_the_spec_says_everything_the_launcher_does() -> None:
    (one,) = programs(
        "SERVICE one\nRUN x y\nENV A=1\nENV B\nENV_FILE e\nWORKDIR w\nMEMORY 1K\nLIMIT_NOFILE 9"
    )

    assert spec(one) == {
        "argv": ["x", "y"],
        "cwd": "/s/w",
        "env": {"A": "1"},
        "env_files": ["/s/e"],
        "inherit": ["B"],
        "limits": {"AS": 1024, "NOFILE": 9},
        "mark": "/s/supervisor",
        "service": "one",
        "starts": {
            "burst": 5,
            "delay": 1,
            "file": "/s/supervisor/programs/one.starts",
            "interval": 10,
        },
    }


def test_compiling_twice_gives_the_same_bytes() -> None:
    text = "SERVICE b\nRUN x\nENV Z=1\nENV A=2\nSERVICE a\nRUN y\nREQUIRES b"

    assert [p.files for p in programs(text)] == [p.files for p in programs(text)]


@pytest.mark.parametrize(
    ("policy", "autorestart", "exitcodes"),
    [
        ("RESTART no", "false", None),
        ("RESTART always", "unexpected", "78,111"),
        ("RESTART on-failure", "unexpected", "0,78,111"),
        ("RESTART always\nONESHOT true", "false", None),
    ],
)
def test_unusable_settings_are_never_restarted(
    policy: str, autorestart: str, exitcodes: str | None
) -> None:
    (one,) = programs(f"SERVICE one\nRUN x\n{policy}")

    keys = section(one)

    assert keys["autorestart"] == autorestart
    assert keys.get("exitcodes") == exitcodes


def test_a_service_is_forked_after_what_it_requires() -> None:
    text = "SERVICE c\nRUN x\nAFTER b\nSERVICE b\nRUN x\nREQUIRES a\nSERVICE a\nRUN x"

    found = {p.service.name: section(p)["priority"] for p in programs(text)}

    assert found == {"a": "100", "b": "101", "c": "102"}


def test_a_disabled_service_is_known_and_not_started() -> None:
    (one,) = programs("SERVICE one\nRUN x\nDISABLED true")

    assert section(one)["autostart"] == "false"


def test_two_log_files_have_sizes_each() -> None:
    (one,) = programs("SERVICE one\nRUN x\nSTDOUT /var/o\nSTDERR e")

    keys = section(one)

    assert (keys["stdout_logfile"], keys["stderr_logfile"]) == ("/var/o", "/s/logs/e")
    assert keys["stderr_logfile_maxbytes"] == keys["stdout_logfile_maxbytes"]
    assert "redirect_stderr" not in keys


@given(
    st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]), max_size=30).map(
        str.strip
    )
)
def test_any_value_of_a_variable_reaches_the_launcher_unchanged(value: str) -> None:
    (one,) = programs(f"SERVICE one\nRUN x\nENV A={value}")

    assert spec(one)["env"] == {"A": value}


@pytest.mark.parametrize("text", ["a\nb", "a\x00", "a ;b"])
def test_a_path_that_supervisords_file_cannot_carry_is_refused(text: str) -> None:
    with pytest.raises(OrchfileRefused):
        conf_value(text)


def test_the_master_file_is_filled_in_with_percent_doubled() -> None:
    text = "a=${SUPERVISOR}/x\nb=${LOGS}\nc=${PYTHON} ${LISTENER}\n"

    found = render_master(text, PLACE)

    assert found == (
        "a=/s/supervisor/x\nb=/s/logs\nc='/opt/my python/bin/python' /lib/orch/listener.py\n"
    )
    assert conf_value("/a%b") == "/a%%b"
