"""What people decide while the results wait for acceptance, each from the open question, and what follows from it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kcibot.core.notice import Level
from kcibot.core.procedure import Gate, Procedure
from kcibot.core.run import RunState, StepState
from kcibot_commands.pipecleaner.accept import about_results, accept_results
from kcibot_commands.plan.steps import plan
from kcibot_commands.production import open_production, push_core, take_production_lock
from kcibot_commands.rules.results import Ended
from kcibot_commands.rules.verdict import Kind
from tests.fakes.judging_bench import CASES, LABS, Judging, judging
from tests.fakes.kernelci_bench import PRODUCTION
from tests.fakes.rollback_bench import released, rolled_back, yard


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Judging]:
    with judging(tmp_path) as made:
        yield made


def asked(there: Judging) -> str:
    (ask,) = there.bench.journal.open_asks()
    return ask.code


def baseline_kernel(there: Judging) -> object:
    value = there.bench.journal.recall("baseline")["5.10"]
    assert isinstance(value, dict)
    return value["results"]["kernel"]


# ---- accept ----------------------------------------------------------------------------------------------------


def test_a_pass_is_accepted_quietly_and_is_the_baseline(there: Judging) -> None:
    there.accepted("v5.10.80")
    there.results("v5.10.81")
    number = there.judge("v5.10.81")
    assert "goes against this proposal" not in there.shown()
    there.approve()
    run = there.bench.run(number)
    assert (run.state, run.step("accept-results").text) == (RunState.SUCCEEDED, "v5.10.81 is the baseline of 5.10")
    assert "against the proposal" not in there.said()
    assert baseline_kernel(there) == "v5.10.81"


def test_a_reaction_is_not_enough_to_accept_against_the_proposal(there: Judging) -> None:
    there.accepted("v5.10.80")
    there.results("v5.10.81", {"arm tiny": "gone"})
    number = there.judge("v5.10.81")
    (ask,) = there.bench.journal.open_asks()
    there.bench.react("manager-1", ask.message_key)
    there.bench.say("manager-1", f"!approve {ask.code}")
    why = f"“{ask.title}” goes against what I propose (fail): say why with !approve {ask.code} REASON"
    assert there.said().count(why) == 2
    assert there.bench.journal.votes(ask) == ()
    assert f"!approve {ask.code} REASON" in there.bench.notices[ask.message_key].brief
    assert there.bench.run(number).step("accept-results").state is StepState.PENDING


def test_who_accepts_against_the_proposal_is_told_to_all_and_audited_with_the_reason(there: Judging) -> None:
    there.accepted("v5.10.80")
    there.results("v5.10.81", {"arm tiny": "gone"})
    number = there.judge("v5.10.81")
    there.bench.say("manager-1", f"!approve {asked(there)} arm tiny was dropped on purpose")
    assert there.bench.run(number).state is RunState.SUCCEEDED
    there.bench.deliver()
    (loud,) = [one for one in there.bench.notices.values() if "against the proposal" in one.title]
    assert loud.level is Level.ALERT
    assert "v5.10.81 is accepted by manager-1 against the proposal “fail: incomplete: 8 of the baseline's" in loud.title
    audit = "\n".join(str(one) for one in there.bench.journal.audit_tail(50))
    assert "arm tiny was dropped on purpose" in audit
    assert "v5.10.81 accepted by manager-1; proposed: fail: incomplete" in audit


def test_an_accepted_regression_stays_one_until_a_second_run_with_it_was_accepted(there: Judging) -> None:
    bad = {"arm tiny": "gone", "mips tiny": "gone"}
    there.accepted("v5.10.80")
    there.accepted("v5.10.81", bad)
    there.results("v5.10.82", bad)
    second = there.judge("v5.10.82")
    assert there.compared(second).baseline == "v5.10.81"
    assert there.compared(second).verdict.kind is Kind.FAIL
    there.approve()
    there.results("v5.10.83", bad)
    assert there.compared(there.judge("v5.10.83")).verdict.kind is Kind.PASS


def test_a_lab_that_was_away_for_a_week_is_still_expected_and_a_lab_that_is_gone_is_not(there: Judging) -> None:
    there.accepted("v5.10.80")
    there.accepted("v5.10.81", labs=LABS[:3])
    there.accepted("v5.10.82", labs=LABS[:3])
    there.results("v5.10.83", labs=LABS[:3])
    number = there.judge("v5.10.83")
    assert there.compared(number).verdict.kind is Kind.PASS
    weeks = [there.bench.run(one).step("compare-results").text for one in (2, 3)]
    assert all("lab missing: lab-d" in text for text in weeks)


def test_a_test_that_failed_in_an_accepted_run_is_expected_once_more(there: Judging) -> None:
    bad = {**CASES, "case-7": "FAIL"}
    there.accepted("v5.10.80")
    there.accepted("v5.10.81", cases=bad)
    there.results("v5.10.82", cases=bad)
    assert there.compared(there.judge("v5.10.82")).verdict.kind is Kind.FAIL


@pytest.mark.parametrize(
    ("given", "why"),
    [({"ended": Ended.STOPPED}, "since it was not complete"), ({"unreachable": ("Jenkins",)}, "without results")],
)
def test_a_run_that_was_not_seen_whole_is_accepted_and_no_baseline(
    there: Judging, given: dict[str, object], why: str
) -> None:
    there.accepted("v5.10.80")
    there.results("v5.10.81", {"arm tiny": "gone"})
    number = there.judge("v5.10.81", **given)
    there.approve()
    assert there.bench.run(number).step("accept-results").text == f"v5.10.81 is accepted, but {why} it is no baseline"
    assert baseline_kernel(there) == "v5.10.80"
    assert "against the proposal" in there.said()


def test_the_starter_cannot_accept(there: Judging) -> None:
    there.results("v5.10.81")
    number = there.judge("v5.10.81")
    there.bench.say("operator", f"!approve {asked(there)}")
    assert there.bench.run(number).step("accept").state is StepState.WAITING


# ---- something else --------------------------------------------------------------------------------------------


def test_a_new_comparison_voids_what_was_asked(there: Judging) -> None:
    there.results("v5.10.81")
    number = there.judge("v5.10.81")
    (old,) = there.bench.journal.open_asks()
    there.results("v5.10.81", {"sparc defconfig": "PASS"})
    there.bench.say("operator", "!pipecleaner compare")
    there.settled(number)
    (new,) = there.bench.journal.open_asks()
    assert (new.ask, new.code != old.code) == (old.ask + 1, True)
    there.bench.say("manager-1", f"!approve {old.code}")
    assert there.bench.run(number).step("accept").state is StepState.WAITING


def test_a_rejection_stops_there_and_a_retry_asks_again(there: Judging) -> None:
    there.results("v5.10.81")
    number = there.judge("v5.10.81")
    there.bench.say("manager-1", f"!reject {asked(there)} too many warnings")
    run = there.bench.run(number)
    assert (run.state, run.step("accept").state) == (RunState.FAILED, StepState.FAILED)
    assert "too many warnings" in run.step("accept").text
    there.bench.say("operator", "!release retry accept")
    assert there.bench.run(number).step("accept").state is StepState.WAITING
    there.approve()
    assert there.bench.run(number).state is RunState.SUCCEEDED


def test_a_hold_leaves_it_open_until_it_is_lifted(there: Judging) -> None:
    there.results("v5.10.81")
    number = there.judge("v5.10.81")
    code = asked(there)
    there.bench.say("observer", "!hold the lab in Berlin is looking at it")
    there.bench.say("manager-1", f"!approve {code}")
    assert not there.bench.run(number).ended
    there.bench.say("operator", "!unhold")
    assert there.bench.run(number).state is RunState.SUCCEEDED
    assert baseline_kernel(there) == "v5.10.81"


def test_an_amendment_begins_anew_and_asks_for_what_is_judged_then(there: Judging) -> None:
    there.results("v5.10.81", {"arm tiny": "FAIL"})
    number = there.judge("v5.10.81")
    old = asked(there)
    there.results("v5.10.81")
    there.bench.say("operator", "!release amend")
    there.settled(number)
    assert there.bench.run(number).revision == 2
    assert asked(there) != old
    there.bench.say("manager-1", f"!approve {old}")
    assert there.bench.run(number).step("accept").state is StepState.WAITING


def test_an_abort_ends_it_without_a_baseline(there: Judging) -> None:
    there.results("v5.10.81")
    number = there.judge("v5.10.81")
    there.bench.say("operator", "!release abort we roll back")
    assert there.bench.run(number).state is RunState.ABORTED
    assert there.bench.journal.recall("baseline") == {}


AT_THE_GATE = Procedure(
    "release",
    plan,
    take_production_lock,
    push_core,
    Gate("accept", "Accept the pipe cleaner's results", about=about_results),
    accept_results,
    open_production,
    title="Release",
)


def test_a_release_is_rolled_back_from_the_open_question_once_it_was_aborted(tmp_path: Path) -> None:
    with yard(tmp_path) as made:
        bench = made.bench()
        old = made.place.head("core", PRODUCTION)
        run = released(bench, AT_THE_GATE)
        assert run.step("accept").state is StepState.WAITING
        (ask,) = bench.journal.open_asks()
        assert "!release abort REASON and then !release rollback put production back" in "\n".join(ask.display)
        assert made.place.head("core", PRODUCTION) != old
        bench.say("operator", "!release rollback")
        assert "!release abort REASON ends it, then it can be rolled back" in bench.replies()[-1]
        bench.say("operator", "!release abort the pipe cleaner found a regression")
        rolled_back(bench)
        assert made.place.head("core", PRODUCTION) == old
