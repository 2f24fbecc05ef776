"""The form of an Orchfile, merging and variables."""

import pytest

from orch.core.merge import merge
from orch.core.orchfile import OrchfileRefused, parse
from orch.core.services import Restart, Service, read_services


def services(
    *texts: str, supplied: dict[str, str] | None = None, **overrides: str
) -> list[Service]:
    files = [parse(f"{number}.orch", text) for number, text in enumerate(texts)]
    return list(read_services(merge(files, supplied=supplied or {}, overrides=overrides)))


def refused(*texts: str) -> tuple[str, ...]:
    with pytest.raises(OrchfileRefused) as caught:
        services(*texts)
    return caught.value.problems


def test_every_directive_of_a_process_is_read() -> None:
    text = """
        # a comment
        ORCH_VERSION 0.2.1
        ARG GREETING=hello

        SERVICE base
        RUN true
        SERVICE one
        RUN ${HOME}/bin/one --say "${GREETING} you" 'a b'
        WORKDIR work
        ENV A=1=2
        ENV INHERITED
        ENV_FILE one.env
        REQUIRES base
        AFTER nobody base
        HEALTHCHECK http://127.0.0.1:1/ready
        SOCKET_READY one
        READINESS_TIMEOUT 2m
        OPTIONAL true
        ONESHOT true
        DISABLED true
        RESTART on-failure
        RESTART_DELAY 3s
        START_LIMIT_BURST 7
        START_LIMIT_INTERVAL 9s
        TIMEOUT_START 100s
        TIMEOUT_STOP 11s
        MEMORY 2M
        LIMIT_NOFILE 100
        LIMIT_NPROC 200
        STDOUT a.log
        STDERR b.log
        RECREATE always
        """

    _, one = services(text)

    assert one == Service(
        name="one",
        argv=("${HOME}/bin/one", "--say", "hello you", "a b"),
        workdir="work",
        env={"A": "1=2", "INHERITED": None},
        env_files=("one.env",),
        requires=("base",),
        after=("nobody", "base"),
        healthcheck="http://127.0.0.1:1/ready",
        socket_ready="one",
        readiness_timeout=120,
        optional=True,
        oneshot=True,
        disabled=True,
        restart=Restart.ON_FAILURE,
        restart_delay=3,
        start_limit_burst=7,
        start_limit_interval=9,
        timeout_start=100,
        timeout_stop=11,
        memory=2 << 20,
        limit_nofile=100,
        limit_nproc=200,
        stdout="a.log",
        stderr="b.log",
    )
    assert one.ready_within_seconds == 100


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("RUN x", "0.orch:1: RUN before the first SERVICE"),
        ("ORCH_VERSION 9.9.9", "0.orch:1: ORCH_VERSION is 9.9.9"),
        ("ORCH_VERSION 0.2.1\nORCH_VERSION 0.2.1", "0.orch:2: ORCH_VERSION stands here a second"),
        ("ARG =x", "0.orch:1: ARG wants name=default"),
        ("SERVICE Upper\nRUN x", "0.orch:1: SERVICE Upper: wanted a lower-case"),
        ("SERVICE " + "a" * 64 + "\nRUN x", "at most 63"),
        ("SERVICE a\nRUN x\nSERVICE a\nRUN x", "0.orch:3: SERVICE a is already on line 1"),
        ("SERVICE a\nRUN", "0.orch:2: RUN needs a value"),
        ("SERVICE a\nRUN x\nRUN y", "0.orch:3: RUN is already on line 2"),
        ("SERVICE a\nrun x", "0.orch:2: run is no directive"),
        ("SERVICE a\nRUN x\nARG a=b", "0.orch:3: ARG belongs before"),
        ("SERVICE a\nRUN x\nCLEAR RUN", "0.orch:3: CLEAR RUN: only"),
        ("SERVICE a", "0.orch:1: SERVICE a has no RUN"),
        ("SERVICE a\nRUN x\nFROM y", "0.orch:2: SERVICE a has both FROM and RUN"),
        ("SERVICE a\nFROM y", "0.orch:2: FROM cannot be kept: hum runs processes, not containers"),
        ("SERVICE a\nRUN x\nPUBLISH 80:80", "0.orch:3: PUBLISH is for containers"),
        ("SERVICE a\nRUN x\nVOLUME a:b", "0.orch:3: VOLUME is for containers"),
        ("SERVICE a\nRUN x\nENTRYPOINT y", "0.orch:3: ENTRYPOINT is for containers"),
        ("SERVICE a\nRUN x\nCMD y", "0.orch:3: CMD is for containers"),
        ("SERVICE a\nRUN x\nUSER root", "0.orch:3: USER cannot be kept"),
        ("SERVICE a\nRUN x\nSTOP y", "0.orch:3: STOP cannot be kept"),
        ("SERVICE a\nRUN x\nRELOAD y", "0.orch:3: RELOAD cannot be kept"),
        ("SERVICE a\nRUN x\nCPUS 0.5", "0.orch:3: CPUS cannot be kept"),
        ("SERVICE a\nRUN x\nCPU_QUOTA 50%", "0.orch:3: CPU_QUOTA cannot be kept"),
        ("SERVICE a\nRUN x\nTASKS_MAX 5", "0.orch:3: TASKS_MAX cannot be kept"),
        ("SERVICE a\nRUN x\nIO_WEIGHT 5", "0.orch:3: IO_WEIGHT cannot be kept"),
        ("SERVICE a\nRUN x\nTIMEOUT_STOP 5", "0.orch:3: TIMEOUT_STOP: got 5, wanted seconds"),
        ("SERVICE a\nRUN x\nMEMORY 5", "0.orch:3: MEMORY: got 5, wanted a size"),
        ("SERVICE a\nRUN x\nLIMIT_NOFILE 0", "0.orch:3: LIMIT_NOFILE: got 0, wanted a whole"),
        ("SERVICE a\nRUN x\nONESHOT yes", "0.orch:3: ONESHOT: got yes, wanted true or false"),
        ("SERVICE a\nRUN x\nRESTART maybe", "0.orch:3: RESTART: got maybe, wanted no, always"),
        ("SERVICE a\nRUN x\nENV =b", "0.orch:3: ENV: got =b, wanted KEY=value"),
        ("SERVICE a\nRUN x | y", "0.orch:2: RUN: there is no shell between"),
        ("SERVICE a\nRUN x 'y", "0.orch:2: RUN: No closing quotation"),
        ("SERVICE a\nRUN x\nREQUIRES b", "0.orch:3: REQUIRES b: there is no such service"),
    ],
)
def test_a_mistake_is_refused_with_its_line_and_reason(text: str, wanted: str) -> None:
    problems = refused(text)

    assert any(wanted in found for found in problems), problems


def test_all_mistakes_of_a_file_are_told_at_once() -> None:
    assert len(refused("SERVICE a\nRUN x\nONESHOT yes\nMEMORY 5\nUSER root")) == 3


def test_requirements_in_a_circle_are_refused() -> None:
    text = "SERVICE a\nRUN x\nREQUIRES b\nSERVICE b\nRUN x\nAFTER a"

    (found,) = refused(text)

    assert found.startswith("REQUIRES and AFTER go in a circle:")


def test_a_quoted_pipe_is_an_argument() -> None:
    (one,) = services("SERVICE a\nRUN /bin/sh -c 'a | b > c'")

    assert one.argv == ("/bin/sh", "-c", "a | b > c")


def test_a_later_file_replaces_scalars_and_adds_to_lists() -> None:
    below = "SERVICE b\nRUN x\nSERVICE a\nRUN x\nENV A=1\nENV B=1\nENV_FILE one\nREQUIRES b"
    above = "SERVICE a\nRUN y\nENV A=2\nENV_FILE one\nENV_FILE two\nAFTER b b\nSERVICE c\nRUN z"

    b, a, c = services(below, above)

    assert (b.name, c.name) == ("b", "c")
    assert (a.argv, a.env) == (("y",), {"B": "1", "A": "2"})
    assert (a.env_files, a.requires, a.after) == (("one", "two"), ("b",), ("b",))


def test_clear_empties_a_list_before_the_overlay_adds_to_it() -> None:
    below = "SERVICE b\nRUN x\nSERVICE a\nRUN x\nENV A=1\nREQUIRES b"
    above = "SERVICE a\nCLEAR ENV REQUIRES\nENV B=2"

    _, a = services(below, above)

    assert (a.env, a.requires) == ({"B": "2"}, ())


def test_changing_to_a_process_drops_what_only_a_container_understands() -> None:
    (a,) = services("SERVICE a\nFROM image\nPUBLISH 1:2\nVOLUME a:b\nCMD c", "SERVICE a\nRUN x")

    assert a.argv == ("x",)


def test_changing_to_a_container_drops_run_and_is_refused_for_what_it_is() -> None:
    (found,) = refused("SERVICE a\nRUN x", "SERVICE a\nFROM image")

    assert found.startswith("1.orch:2: FROM cannot be kept")


def test_variables_come_from_arg_then_override_then_the_engine() -> None:
    text = "ARG A=default\nARG B=default\nSERVICE s\nRUN ${A} ${B} ${C} ${SERVICE_NAME} ${HOME}"

    (one,) = services(text, supplied={"C": "engine"}, B="override", D="ignored")

    assert one.argv == ("default", "override", "engine", "s", "${HOME}")


def test_a_variable_is_not_looked_at_again_once_it_is_filled_in() -> None:
    (one,) = services("ARG A=${B}\nARG B=x\nSERVICE s\nRUN ${A}")

    assert one.argv == ("${B}",)
