"""Replays, cancels and bounds of calls (humfs 1.5, 1.6)."""

from humfs.core.calls import Calls, Verdict


def test_a_replay_of_a_running_call_is_answered_with_it() -> None:
    calls: Calls[str] = Calls()

    assert calls.arrived(("s", "c")) is Verdict.RUN
    assert calls.arrived(("s", "c")) is Verdict.WAIT
    assert calls.finished(("s", "c"), "done") == 2


def test_a_replay_of_an_answered_call_gets_the_stored_result() -> None:
    calls: Calls[str] = Calls()
    calls.arrived(("s", "c"))
    calls.finished(("s", "c"), "done")

    assert calls.arrived(("s", "c")) is Verdict.REPLAY
    assert calls.stored(("s", "c")) == "done"


def test_another_session_with_the_same_call_id_runs_its_own_call() -> None:
    calls: Calls[str] = Calls()
    calls.arrived(("s", "c"))
    calls.finished(("s", "c"), "done")

    assert calls.arrived(("t", "c")) is Verdict.RUN


def test_only_the_last_results_are_remembered() -> None:
    calls: Calls[int] = Calls(remembered_max=2)
    for at in range(3):
        calls.arrived(("s", str(at)))
        calls.finished(("s", str(at)), at)

    assert calls.arrived(("s", "0")) is Verdict.RUN
    assert calls.arrived(("s", "2")) is Verdict.REPLAY


def test_past_the_bound_a_call_is_refused_not_queued() -> None:
    calls: Calls[int] = Calls(running_max=1)
    calls.arrived(("s", "a"))

    assert calls.arrived(("s", "b")) is Verdict.FULL


def test_a_cancel_means_one_call_or_a_whole_session() -> None:
    calls: Calls[int] = Calls()
    for key in (("s", "a"), ("s", "b"), ("t", "c")):
        calls.arrived(key)

    assert calls.meant("s", "a") == [("s", "a")]
    assert calls.meant(None, "c") == [("t", "c")]
    assert calls.meant("t", "a") == []
    assert calls.meant("s", None) == [("s", "a"), ("s", "b")]
    assert calls.meant(None, None) == []
