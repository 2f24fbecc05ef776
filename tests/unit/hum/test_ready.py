"""What a service lacks to be ready."""

from dataclasses import replace
from typing import Any

import pytest

from hum.ready import Unready, look, wait_ready
from nest.supervisor import ProgramState
from orch.core.services import Service


def service(**fields: Any) -> Service:
    return Service(name="one", argv=("x",), **fields)


def program(state: str = "RUNNING", exit_status: int = 0, now: int = 9) -> ProgramState:
    return ProgramState(
        name="one",
        state=state,
        pid=7,
        started_at=1,
        stopped_at=0,
        now=now,
        exit_status=exit_status,
        log="",
    )


def test_a_running_service_without_a_check_is_ready() -> None:
    assert look(service(), program(), {}) is None


def test_a_bee_is_ready_once_humd_knows_it() -> None:
    bee = service(socket_ready="scout")

    found = look(bee, program(), {})

    assert found is not None
    assert not found.hopeless
    assert look(bee, program(), {"scout": {}}) is None


@pytest.mark.parametrize(
    ("state", "exit_status", "reason", "settings"),
    [
        ("EXITED", 78, "its settings cannot be used (exit status 78)", True),
        ("EXITED", 111, "it ended too often (exit status 111)", False),
        ("EXITED", 3, "it ended with exit status 3", False),
        ("FATAL", 0, "it is fatal", False),
        ("STOPPED", 0, "it is stopped", False),
    ],
)
def test_a_service_that_ended_for_good_is_hopeless(
    state: str, exit_status: int, reason: str, settings: bool
) -> None:
    found = look(service(), program(state, exit_status), {})

    assert found == Unready(service="one", reason=reason, hopeless=True, settings=settings)


def test_a_service_that_ended_this_moment_may_be_started_again() -> None:
    found = look(service(), program("EXITED", 3, now=1), {})

    assert found == Unready(service="one", reason="it ended with exit status 3", hopeless=False)


def test_a_oneshot_is_ready_when_it_succeeded() -> None:
    once = service(oneshot=True)

    assert look(once, program("EXITED", 0), {}) is None
    running, failed = look(once, program(), {}), look(once, program("EXITED", 1), {})
    assert running is not None
    assert not running.hopeless
    assert failed is not None
    assert failed.hopeless


@pytest.mark.parametrize(("check", "is_ready"), [("true", True), ("false", False), ("/no", False)])
def test_a_command_is_content_with_exit_0(check: str, is_ready: bool) -> None:
    assert (look(service(healthcheck=check), program(), {}) is None) is is_ready


def test_waiting_ends_when_everything_is_ready() -> None:
    answers = [[program("STARTING")], [program()]]

    late = wait_ready([service()], programs=lambda: answers.pop(0), manifests=dict)

    assert late == ()
    assert answers == []


def test_waiting_ends_at_once_for_a_service_that_ended_for_good() -> None:
    (late,) = wait_ready([service()], programs=lambda: [program("EXITED", 78)], manifests=dict)

    assert late.settings


def test_a_process_without_a_check_that_ends_at_once_was_never_ready() -> None:
    states = [program(now=1), program("EXITED", 78)]

    (late,) = wait_ready([service()], programs=lambda: [states.pop(0)], manifests=dict)

    assert late.settings


def test_who_was_ready_and_ends_while_others_are_waited_for_is_named_at_once() -> None:
    states = [program(), program("EXITED", 78)]
    bee = Service(name="bee", argv=("x",), socket_ready="bee")

    (late,) = wait_ready(
        [service(), bee],
        programs=lambda: [states.pop(0), replace(program(), name="bee")],
        manifests=dict,
    )

    assert (late.service, late.settings) == ("one", True)


def test_waiting_ends_at_the_deadline_with_the_reason() -> None:
    bee = service(socket_ready="scout", readiness_timeout=0)

    (late,) = wait_ready([bee], programs=lambda: [program()], manifests=dict)

    assert late.reason == "humd does not know the bee scout"
    assert not late.optional


def test_the_others_are_waited_for_when_an_optional_one_is_late() -> None:
    optional = service(socket_ready="far", readiness_timeout=0, optional=True)
    states = [[program("STARTING")], [program("STARTING")], [program()]]

    found = wait_ready([optional, service()], programs=lambda: states.pop(0), manifests=dict)

    assert {(late.service, late.optional) for late in found} == {("one", True)}
    assert states == []
