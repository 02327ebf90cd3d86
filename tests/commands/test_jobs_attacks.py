"""Job definitions under attack: hand edits, pushes and flags in the middle, secrets, and what must come back."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from kcibot.core.journal import Forget
from kcibot.core.run import RunState, StepState
from kcibot.sandbox.http import Fault, FaultKind
from kcibot_commands.locks import LOCK, PRODUCTION
from tests.fakes.ci_bench import MONITOR, TIMER, TRIGGER, definition
from tests.fakes.jobs_bench import (
    BACK,
    COMING,
    IN_GIT,
    PASSWORD,
    REAL,
    World,
    heads,
    make_world,
    parameters,
    push,
    texts,
)

CHANGED = {**IN_GIT, TRIGGER: definition("BUILD_CONFIG", "NODE_LABEL")}
OWN = "a-secret-of-the-bot"


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., World]]:
    with ExitStack() as stack:
        yield partial(make_world, stack, tmp_path)


def after(world: World, method: str, path: str, number: int, then: Callable[[], None]) -> None:
    """Do something right behind the number-th request of that kind from now on."""
    respond, seen = world.ci.jenkins.respond, []

    def hook(request):  # type: ignore[no-untyped-def]  # the stand-in's own type
        answer = respond(request)
        if request.method == method and request.path == path:
            seen.append(request)
            if len(seen) == number:
                then()
        return answer

    world.ci.jenkins.respond = hook  # type: ignore[method-assign]


def set_flag(world: World, job: str, *, disabled: bool) -> None:
    inside = world.ci.jenkins.world
    with world.ci.jenkins.loop.lock:
        found = inside.jobs.find(job)
        assert found
        inside.set_disabled(found, disabled=disabled)


# ---- what was shown is what is written -----------------------------------------------------------------------------


def test_a_hand_edit_of_the_very_job_voids_the_approval(make: Callable[..., World]) -> None:
    world = make(CHANGED)
    world.ci.say("!jobs apply")
    world.ci.jenkins.create_job(TRIGGER, definition("BUILD_CONFIG", "BY_HAND"))
    world.ci.approve("operator")
    assert "is void, because what it showed has changed" in world.ci.said()
    assert "BY_HAND" in parameters(world, TRIGGER)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_commit_that_is_pushed_while_it_is_applied_is_not_applied(
    make: Callable[..., World], tmp_path: Path, number: int
) -> None:
    world = make(CHANGED)
    shown = heads(world.repository)["kernelci.org"]
    world.ci.say("!jobs apply")
    later = definition("BUILD_CONFIG", "NOT_SHOWN")
    after(world, "GET", f"/job/{TRIGGER}/config.xml", number, partial(push, world, tmp_path, TRIGGER, later))
    run = world.ci.approve("operator")
    assert run.state is RunState.SUCCEEDED, texts(world)
    assert heads(world.repository)["kernelci.org"] != shown
    assert parameters(world, TRIGGER) == ["BUILD_CONFIG", "NODE_LABEL"]
    assert run.step("apply-job-definitions").text == f"{TRIGGER} from {shown[:10]}"


def test_a_job_that_people_disable_meanwhile_stays_disabled(make: Callable[..., World]) -> None:
    world = make({**CHANGED, "other": definition("A")})
    world.ci.jenkins.create_job("other", definition())
    world.ci.say("!jobs apply")
    after(world, "POST", f"/job/{TRIGGER}/config.xml", 1, partial(set_flag, world, "other", disabled=True))
    assert world.ci.approve("operator").state is RunState.SUCCEEDED, texts(world)
    assert parameters(world, "other") == ["A"]
    assert world.ci.server.job("other").disabled


def test_a_hand_edit_between_two_writes_is_not_written_over(make: Callable[..., World]) -> None:
    world = make({**CHANGED, "other": definition("A")})
    world.ci.jenkins.create_job("other", definition())
    world.ci.say("!jobs apply")
    edit = partial(world.ci.jenkins.create_job, TRIGGER, definition("BUILD_CONFIG", "BY_HAND"))
    after(
        world, "GET", f"/job/{TRIGGER}/config.xml", 4, edit
    )  # asked anew, compared, looked at, kept: then people edit it
    world.ci.approve("operator")
    assert world.ci.tick_until_ended().state is RunState.FAILED, texts(world)
    assert "was changed by somebody since it was shown" in world.ci.said()
    assert parameters(world, TRIGGER) == ["BUILD_CONFIG", "BY_HAND"]


def test_a_definition_that_is_not_what_was_written_is_said(make: Callable[..., World]) -> None:
    world = make(CHANGED)
    world.ci.say("!jobs apply")
    other = partial(world.ci.jenkins.create_job, TRIGGER, definition("BUILD_CONFIG"))
    after(world, "POST", f"/job/{TRIGGER}/config.xml", 1, other)
    world.ci.approve("operator")
    assert world.ci.tick_until_ended().state is RunState.FAILED
    assert f"Jenkins took the definition of {TRIGGER}, but reads it differently" in world.ci.said()


def test_a_job_that_is_edited_just_before_its_deletion_is_not_deleted(make: Callable[..., World]) -> None:
    world = make()
    world.ci.jenkins.create_job("old-job", definition())
    world.ci.say("!jobs remove old-job")
    edit = partial(world.ci.jenkins.create_job, "old-job", definition("BY_HAND"))
    after(world, "GET", "/job/old-job/config.xml", 2, edit)  # shown, kept: then people edit it
    world.ci.approve("manager-1")
    assert world.ci.tick_until_ended().state is RunState.FAILED, texts(world)
    assert "was changed by somebody since it was shown" in world.ci.said()
    assert parameters(world, "old-job") == ["BY_HAND"]


def test_a_flag_that_alone_is_other_in_git_is_written(make: Callable[..., World]) -> None:
    world = make({**IN_GIT, TRIGGER: definition("BUILD_CONFIG", disabled=True)})
    world.ci.say("!jobs apply")
    assert world.ci.approve("operator").state is RunState.SUCCEEDED, texts(world)
    assert world.ci.server.job(TRIGGER).disabled


def test_a_new_job_shows_what_it_is(make: Callable[..., World]) -> None:
    world = make({**IN_GIT, "new-job": definition("A", timer=TIMER)})
    world.ci.say("!jobs apply")
    (ask,) = world.ci.bench.journal.open_asks()
    assert "    parameter A added (String, default '')" in ask.display
    assert "    trigger added: hudson.triggers.TimerTrigger spec=H H/2 * * *" in ask.display


# ---- secrets -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("git", ["placeholder", ""])
def test_a_secret_stays_as_it_is_on_jenkins_whatever_git_says(make: Callable[..., World], git: str) -> None:
    world = make({**IN_GIT, TRIGGER: PASSWORD.format(git, "<new>x</new>")})
    world.ci.jenkins.create_job(TRIGGER, PASSWORD.format(REAL, ""))
    world.ci.say("!jobs apply")
    (ask,) = world.ci.bench.journal.open_asks()
    assert f"  secrets stay as they are on Jenkins, whatever Git says: {TRIGGER}: parameter TOKEN" in ask.display
    assert REAL not in "\n".join(ask.display)
    assert world.ci.approve("operator").state is RunState.SUCCEEDED, texts(world)
    assert f"<defaultValue>{REAL}</defaultValue>" in world.live(TRIGGER)
    assert "<new>x</new>" in world.live(TRIGGER)
    world.ci.say("!jobs apply")
    assert world.ci.newest().step("apply-job-definitions").state is StepState.NOT_NEEDED


def test_a_secret_that_people_change_after_the_asking_stays_too(make: Callable[..., World]) -> None:
    world = make({**IN_GIT, TRIGGER: PASSWORD.format("placeholder", "<new>x</new>")})
    world.ci.jenkins.create_job(TRIGGER, PASSWORD.format(REAL, ""))
    world.ci.say("!jobs apply")
    world.ci.jenkins.create_job(TRIGGER, PASSWORD.format("{AQAAnewer}", ""))
    assert world.ci.approve("operator").state is RunState.SUCCEEDED, texts(world)
    assert "{AQAAnewer}" in world.live(TRIGGER)


def test_a_definition_that_cannot_be_kept_is_not_replaced(make: Callable[..., World]) -> None:
    token = f"<authToken>{OWN}</authToken>"
    world = make({**IN_GIT, TRIGGER: definition("BUILD_CONFIG", "NODE_LABEL", extra=token)})
    world.ci.jenkins.create_job(TRIGGER, definition("BUILD_CONFIG", extra=token))
    world.ci.bench.journal.cleaner._redactor.add(OWN)
    before = world.live(TRIGGER)
    world.ci.say("!jobs apply")
    run = world.ci.approve("operator")
    assert run.state is RunState.FAILED
    assert "holds a secret of the bot, which is never stored" in world.ci.said()
    assert world.live(TRIGGER) == before
    assert world.ci.bench.journal.recall("job-definitions") == {}


def test_nothing_is_written_that_went_through_the_journal(make: Callable[..., World]) -> None:
    """A new job, as Git has it, holds a secret of the bot, and the first try to write it is refused."""
    token = f"<authToken>{OWN}</authToken>"
    world = make({**IN_GIT, "new-job": definition("A", extra=token)})
    world.ci.bench.journal.cleaner._redactor.add(OWN)
    world.ci.say("!jobs apply")
    world.ci.jenkins.faults.add(Fault(FaultKind.STATUS, "POST .*createItem.*", status=401))
    world.ci.approve("operator")
    run = world.ci.tick_until_ended()
    if run.state is not RunState.SUCCEEDED:
        world.ci.say("!release retry")
        run = world.ci.tick_until_ended()
    assert run.state is RunState.SUCCEEDED, texts(world)
    assert token in world.live("new-job")


# ---- what comes back -----------------------------------------------------------------------------------------------


def test_the_old_definition_of_a_release_outlives_a_later_apply(make: Callable[..., World], tmp_path: Path) -> None:
    world = make()
    world.release()
    world.ci.approve("operator")
    assert world.ci.tick_until_ended().state is RunState.SUCCEEDED
    push(world, tmp_path, TRIGGER, definition("BUILD_CONFIG", "NODE_LABEL", "LATER"))
    world.ci.say("!jobs apply")
    world.ci.approve("operator")
    assert world.ci.tick_until_ended().state is RunState.SUCCEEDED
    world.release(BACK)
    assert parameters(world, TRIGGER) == ["BUILD_CONFIG"]


def test_restore_brings_back_what_apply_replaced_and_can_be_taken_back(make: Callable[..., World]) -> None:
    world = make(CHANGED)
    world.ci.say("!jobs apply")
    world.ci.approve("operator")
    assert parameters(world, TRIGGER) == ["BUILD_CONFIG", "NODE_LABEL"]
    world.ci.say(f"!jobs restore {TRIGGER}")
    (ask,) = world.ci.bench.journal.open_asks()
    assert ask.display[1].startswith(f"  {TRIGGER} as it was before run 1, kept ")
    assert ask.display[2] == "    parameter NODE_LABEL removed (String, default '')"
    assert world.ci.approve("operator").state is RunState.SUCCEEDED, texts(world)
    assert parameters(world, TRIGGER) == ["BUILD_CONFIG"]
    world.ci.say(f"!jobs restore {TRIGGER}")
    assert world.ci.approve("operator").state is RunState.SUCCEEDED, texts(world)
    assert parameters(world, TRIGGER) == ["BUILD_CONFIG", "NODE_LABEL"]
    assert world.ci.bench.journal.recall("lock") == {}


def test_restore_brings_back_the_newest_that_is_not_what_there_is(make: Callable[..., World], tmp_path: Path) -> None:
    world = make(CHANGED)
    world.ci.say("!jobs apply")
    world.ci.approve("operator")
    push(world, tmp_path, TRIGGER, definition("BUILD_CONFIG", "THIRD"))
    world.ci.say("!jobs apply")
    world.ci.approve("operator")
    assert parameters(world, TRIGGER) == ["BUILD_CONFIG", "THIRD"]
    world.ci.jenkins.create_job(TRIGGER, definition("BUILD_CONFIG", "NODE_LABEL"))  # by hand, as before the newest
    world.ci.say(f"!jobs restore {TRIGGER}")
    assert world.ci.approve("operator").state is RunState.SUCCEEDED, texts(world)
    assert parameters(world, TRIGGER) == ["BUILD_CONFIG"]


def test_restore_brings_back_what_remove_deleted(make: Callable[..., World]) -> None:
    world = make()
    world.ci.jenkins.create_job("old-job", PASSWORD.format(REAL, ""))
    xml = world.live("old-job")
    world.ci.say("!jobs remove old-job")
    assert world.ci.approve("manager-1").state is RunState.SUCCEEDED, texts(world)
    assert "old-job" not in world.ci.server.jobs()
    world.ci.bench.say("operator", "!jobs restore old-jbo")
    assert "No definition of old-jbo is kept. Did you mean old-job?" in world.ci.said()
    world.ci.say("!jobs restore old-job")
    assert world.ci.approve("operator").state is RunState.SUCCEEDED, texts(world)
    assert world.live("old-job") == xml


def test_restore_is_void_when_the_job_changes_after_the_asking(make: Callable[..., World]) -> None:
    world = make(CHANGED)
    world.ci.say("!jobs apply")
    world.ci.approve("operator")
    world.ci.say(f"!jobs restore {TRIGGER}")
    world.ci.jenkins.create_job(TRIGGER, definition("BUILD_CONFIG", "BY_HAND"))
    world.ci.approve("operator")
    assert "is void, because what it showed has changed" in world.ci.said()
    assert parameters(world, TRIGGER) == ["BUILD_CONFIG", "BY_HAND"]


@pytest.mark.parametrize("kind", [FaultKind.RESET_BEFORE, FaultKind.RESET_AFTER])
def test_a_lost_answer_to_a_restore_is_settled_by_reading(make: Callable[..., World], kind: FaultKind) -> None:
    world = make(CHANGED)
    world.ci.say("!jobs apply")
    world.ci.approve("operator")
    world.ci.jenkins.faults.add(Fault(kind, f"POST .*{TRIGGER}/config.xml"))
    world.ci.say(f"!jobs restore {TRIGGER}")
    world.ci.approve("operator")
    assert world.ci.tick_until_ended().state is RunState.SUCCEEDED, texts(world)
    assert parameters(world, TRIGGER) == ["BUILD_CONFIG"]


def test_what_was_restored_of_the_monitor_keeps_the_pause(make: Callable[..., World]) -> None:
    world = make({**IN_GIT, MONITOR: COMING[MONITOR]})
    world.ci.say("!jobs apply")
    world.ci.approve("operator")
    world.ci.say("!monitor pause work")
    assert world.ci.server.job(MONITOR).disabled
    world.ci.say(f"!jobs restore {MONITOR}")
    assert world.ci.approve("operator").state is RunState.SUCCEEDED, texts(world)
    assert parameters(world, MONITOR) == ["CONFIG_LIST"]
    assert world.ci.server.job(MONITOR).disabled


def test_a_lock_that_is_taken_away_after_the_asking_keeps_the_definitions_as_they_are(
    make: Callable[..., World],
) -> None:
    world = make(CHANGED)
    world.ci.say("!jobs apply")
    unlock = partial(world.ci.bench.journal.commit, [Forget(LOCK, PRODUCTION)])  # as !unlock does
    after(world, "GET", f"/job/{TRIGGER}/config.xml", 2, unlock)
    world.ci.approve("operator")
    assert world.ci.tick_until_ended().state is RunState.FAILED, texts(world)
    assert "the production lock was taken away from this run" in world.ci.said()
    assert parameters(world, TRIGGER) == ["BUILD_CONFIG"]
