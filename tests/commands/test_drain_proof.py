"""The proof of a drain: its table of cases, and that it holds in a server in which work hides."""

import random
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from kcibot.core.ports import BuildRef, Busy, CiLook, JobState, QueueItem
from kcibot_commands.drain import confirming_look
from kcibot_commands.rules.drain_proof import (
    ConfirmingLook,
    Finding,
    FirstLook,
    Quiet,
    judge_confirming,
    judge_first,
)
from tests.fakes.drain_world import (
    AT,
    BUILD,
    HALF_MINUTE,
    IGNORED,
    MONITOR,
    RULE,
    Confirm,
    Server,
    drained,
    lively,
    proven,
)


def jobs(*, enabled: bool = False, **next_builds: int) -> dict[str, JobState]:
    states = {MONITOR: JobState(MONITOR, not enabled, enabled, 7, 6)}
    named = {name.replace("_", "-"): number for name, number in next_builds.items()}
    return states | {name: JobState(name, False, True, number, None) for name, number in named.items()}


def look(
    session: str = "a", queued: Iterable[str] = (), running: Iterable[str] = (), *, unnamed: bool = False
) -> CiLook:
    items = tuple(QueueItem(number, job, "because", AT, {}) for number, job in enumerate(queued, 1))
    busy = [Busy("node", BuildRef(job, 5), AT, None) for job in running]
    busy += [Busy("node", None, None, None)] if unnamed else []
    return CiLook(session, items, tuple(busy))


# ---- the table -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seen", "states", "finding", "why"),
    [
        (look(), jobs(), Finding.QUIET, ""),
        (look(running=[BUILD]), jobs(), Finding.HELD, ""),
        (look(queued=[BUILD]), jobs(), Finding.HELD, ""),
        (look(unnamed=True), jobs(), Finding.HELD, ""),
        (look(), jobs(enabled=True), Finding.HELD, f"{MONITOR} is enabled"),
        (look(), {}, Finding.HELD, "no job"),
        (look(running=[IGNORED], queued=[IGNORED]), jobs(), Finding.QUIET, ""),
        (look(running=[IGNORED], unnamed=True), jobs(), Finding.HELD, ""),
    ],
)
def test_a_first_look_is_quiet_only_if_nothing_counts_and_the_monitor_is_disabled(
    seen: CiLook, states: Mapping[str, JobState], finding: Finding, why: str
) -> None:
    verdict = judge_first(RULE, FirstLook(states, seen), AT)
    assert verdict.finding is finding
    assert why in verdict.why
    assert (verdict.quiet is not None) == (finding is Finding.QUIET)


QUIET = judge_first(RULE, FirstLook(jobs(kernel_build=5), look()), AT).quiet
CONFIRMED = ConfirmingLook(jobs(kernel_build=5), look(), look(), jobs(kernel_build=5))
MOVED = jobs(kernel_build=6)


@pytest.mark.parametrize(
    ("confirming", "after", "why"),
    [
        (CONFIRMED, HALF_MINUTE, None),
        (CONFIRMED, timedelta(seconds=29), "too early"),
        (replace(CONFIRMED, first=look(queued=[BUILD])), HALF_MINUTE, ""),
        (replace(CONFIRMED, second=look(running=[BUILD])), HALF_MINUTE, ""),
        (replace(CONFIRMED, second=look(unnamed=True)), HALF_MINUTE, ""),
        (replace(CONFIRMED, first=look("b")), HALF_MINUTE, "restarted"),
        (replace(CONFIRMED, second=look("b")), HALF_MINUTE, "restarted"),
        (replace(CONFIRMED, first=look("b"), second=look("b")), HALF_MINUTE, "restarted"),
        (replace(CONFIRMED, jobs_before=jobs(kernel_build=6)), HALF_MINUTE, "kernel-build started"),
        (replace(CONFIRMED, jobs_after=jobs(kernel_build=6)), HALF_MINUTE, "kernel-build started"),
        (replace(CONFIRMED, jobs_before=MOVED, jobs_after=MOVED), HALF_MINUTE, "kernel-build started"),
        (replace(CONFIRMED, jobs_after=jobs()), HALF_MINUTE, "kernel-build started"),
        (replace(CONFIRMED, jobs_after=jobs(kernel_build=5, new=1)), HALF_MINUTE, "new started"),
        (replace(CONFIRMED, jobs_before=jobs(kernel_build=5, enabled=True)), HALF_MINUTE, "is enabled"),
        (replace(CONFIRMED, jobs_after=jobs(kernel_build=5, enabled=True)), HALF_MINUTE, "is enabled"),
        (replace(CONFIRMED, jobs_after=jobs(kernel_build=5, job_dsl=9)), HALF_MINUTE, None),
    ],
)
def test_a_confirming_look_proves_a_drain_only_if_all_of_it_fits(
    confirming: ConfirmingLook, after: timedelta, why: str | None
) -> None:
    assert QUIET is not None
    verdict = judge_confirming(RULE, QUIET, confirming, AT + after)
    assert verdict.finding is (Finding.DRAINED if why is None else Finding.HELD)
    assert (why or "") in verdict.why


def test_ignored_jobs_are_left_out_of_the_holders_but_recorded() -> None:
    assert QUIET is not None
    seen = look(running=[IGNORED])
    verdict = judge_confirming(RULE, QUIET, replace(CONFIRMED, first=seen, second=seen), AT + HALF_MINUTE)
    assert verdict.finding is Finding.DRAINED
    assert [holder.name for holder in verdict.seen.left_out] == [f"{IGNORED} #5"]


def test_anything_that_is_not_as_it_must_be_starts_again() -> None:
    assert QUIET is not None
    verdict = judge_confirming(RULE, QUIET, replace(CONFIRMED, second=look(queued=[BUILD])), AT + HALF_MINUTE)
    assert verdict.quiet is None


# ---- a server in which work hides ------------------------------------------------------------------------------

EXAMPLES = 5_000
MANY = 500
"""So many of the examples must end drained after builds that really started, or they would prove nothing."""
LONGEST = 40


def drained_after_starts(confirm: Confirm, server: Server) -> bool:
    """The property, for one server."""
    if not drained(server, confirm, LONGEST):
        return False
    assert not server.work
    assert not server.enabled
    assert server.starts == server.known
    return server.starts > 0


def try_all(confirm: Confirm, *phases: Phase) -> int:
    """The property, for all fates that are tried; how many ended drained after builds that really started."""
    found: list[bool] = []

    @settings(max_examples=EXAMPLES, deadline=None, database=None, phases=phases or tuple(Phase))
    @given(st.integers(0, 2**64 - 1), st.integers(3, LONGEST))
    def tried(seed: int, life: int) -> None:
        found.append(drained_after_starts(confirm, lively(seed, life)))

    tried()
    return sum(found)


def test_drained_is_never_said_while_work_exists_or_could_have_started_unseen() -> None:
    assert try_all(proven) >= MANY


def looks_alone(server: Server, quiet: Quiet, first: FirstLook) -> ConfirmingLook:
    """As if builds had no numbers: only whether something runs or waits, two times."""
    look = confirming_look(server)  # type: ignore[arg-type]
    before, after = (
        {name: replace(job, next_build=first.jobs[name].next_build) for name, job in states.items()}
        for states in (look.jobs_before, look.jobs_after)
    )
    return replace(look, jobs_before=before, jobs_after=after)


def no_confirming_look(_server: Server, _quiet: Quiet, first: FirstLook) -> ConfirmingLook:
    """One quiet look is believed."""
    return ConfirmingLook(first.jobs, first.look, first.look, first.jobs)


def job_states_before_the_looks_only(server: Server, quiet: Quiet, first: FirstLook) -> ConfirmingLook:
    look = confirming_look(server)  # type: ignore[arg-type]
    return replace(look, jobs_after=look.jobs_before)


def any_session(server: Server, quiet: Quiet, first: FirstLook) -> ConfirmingLook:
    """As if a restart were nothing."""
    look = confirming_look(server)  # type: ignore[arg-type]
    first_, second = (replace(one, session=quiet.session) for one in (look.first, look.second))
    return replace(look, first=first_, second=second)


WRONG = (looks_alone, no_confirming_look, job_states_before_the_looks_only, any_session)


@pytest.mark.parametrize("confirm", WRONG, ids=lambda confirm: confirm.__name__)
def test_with_less_than_the_confirming_look_it_would_be_said_falsely(confirm: Confirm) -> None:
    with pytest.raises(AssertionError):
        try_all(confirm, Phase.generate)


NO_FATE = random.Random(0)  # noqa: S311 (nothing is left to it)


def test_a_server_on_which_nothing_moves_is_drained_after_two_passes() -> None:
    assert not drained(Server(NO_FATE), proven, 1)
    assert drained(Server(NO_FATE), proven, 2)


class Adversary(Server):
    """One build after the other, each running while the queue is read and queued while the executors are read."""

    def jobs(self) -> dict[str, JobState]:
        return self.states()

    def between(self) -> None:
        self.hop()


def adversary() -> Adversary:
    return Adversary(NO_FATE, queue=[BUILD])


def test_looks_alone_are_fooled_for_as_long_as_one_likes() -> None:
    server = adversary()
    looks = [server.look() for _ in range(100)]
    assert all(not seen.queued and not seen.running for seen in looks)
    assert server.work == [BUILD]


@pytest.mark.parametrize(("confirm", "fooled"), [(looks_alone, True), (proven, False)])
def test_only_the_numbers_of_the_builds_are_not_fooled(confirm: Confirm, fooled: bool) -> None:
    server = adversary()
    assert drained(server, confirm, 200) == fooled
    assert server.work == [BUILD]
