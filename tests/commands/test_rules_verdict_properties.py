"""What must hold of every verdict, whatever the results are."""

from dataclasses import replace
from random import Random

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kcibot_commands.rules.results import BoardResult, Ended, Kernel, KernelKey, Mail, MailState, Results, Status
from kcibot_commands.rules.verdict import Kind, judge
from kcibot_commands.rules.verdict_expected import Expected, expected

CASES = ("a", "b", "c", "d")
GOOD = frozenset({Kind.PASS, Kind.WARN})
BAD = frozenset({Kind.FAIL, Kind.UNKNOWN})

KEYS = [KernelKey(arch, config, tool) for arch in ("arm", "mips") for config in ("x", "y") for tool in ("gcc", "clang")]
PLACES = [(lab, device, plan) for lab in ("p", "q", "r", "s") for device in ("one", "two") for plan in ("igt", "usb")]


def board(random: Random, place: tuple[str, str, str]) -> BoardResult:
    outcome = {case: random.choice([True, False, None]) for case in CASES}
    passed = tuple(case for case, good in outcome.items() if good)
    failed = tuple(case for case, good in outcome.items() if good is False)
    named = random.random() < 0.9
    return BoardResult(*place, len(passed), len(failed), *((passed, failed) if named else ()))


def run(random: Random) -> Results:
    """Anything that a run can be; more often than not complete, and its mails seen."""
    ended = random.choice([Ended.COMPLETE, Ended.COMPLETE, *Ended])
    state = [MailState.SEEN, MailState.SEEN, *MailState]
    kinds = random.choice([("build",), ("build", "boot")])
    keys = sorted(random.sample(KEYS, random.randint(1, len(KEYS))))
    kernels = tuple(
        Kernel(key, tuple(random.choices([*Status, Status.PASS], k=random.randint(1, 2))), random.randint(0, 20))
        for key in keys
    )
    tests = tuple(board(random, place) for place in random.sample(PLACES, random.randint(0, 8)))
    return Results("now", "5.0", ended, kernels, tests, tuple(Mail(kind, random.choice(state)) for kind in kinds))


def right(random: Random) -> Results:
    """A run in which nothing was wrong."""
    made = run(random)
    kernels = tuple(replace(one, attempts=(Status.PASS,)) for one in made.kernels)
    mails = tuple(replace(one, state=MailState.SEEN) for one in made.mails)
    tests = tuple(map(all_passed, made.tests))
    return replace(made, ended=Ended.COMPLETE, kernels=kernels, tests=tests, mails=mails)


def all_passed(one: BoardResult) -> BoardResult:
    cases = tuple(sorted((*one.passed_cases, *one.failed_cases)))
    return replace(one, passed=one.passed + one.failed, failed=0, passed_cases=cases, failed_cases=())


SEEDS = st.integers(0, 2**32)
"""Runs are made from a number: drawn one value at a time they would take seconds."""


def runs() -> st.SearchStrategy[Results]:
    return SEEDS.map(lambda seed: run(Random(seed)))  # noqa: S311 (no secret)


def alright() -> st.SearchStrategy[Results]:
    return SEEDS.map(lambda seed: right(Random(seed)))  # noqa: S311 (no secret)


@given(alright())
def test_a_run_in_which_all_is_right_passes_beside_itself(run: Results) -> None:
    assert judge(run, run).kind is Kind.PASS
    assert judge(run, run).reasons == ()


@given(runs(), st.one_of(st.none(), runs()), st.sampled_from(["Jenkins", "results API"]), st.booleans())
def test_a_source_that_was_not_seen_never_makes_a_verdict_better(
    now: Results, before: Results | None, source: str, other: bool
) -> None:
    now = replace(now, series="5.1") if other else now
    assert judge(replace(now, unreachable=(source,)), before).kind is Kind.UNKNOWN


@settings(max_examples=200)
@given(runs(), runs(), st.data())
def test_what_is_taken_away_never_turns_a_bad_verdict_into_a_pass(
    now: Results, before: Results, data: st.DataObject
) -> None:
    assume(judge(now, before).kind in BAD)
    labs = sorted(now.labs() & before.labs())
    # A kernel or a lab that is only in this run is known by nobody once it is away.
    keys = sorted(key for key in now.by_key() if key in before.by_key())
    ways = [("mail", mail) for mail in now.mails if mail.kind == "build"]
    ways += [("lab", lab) for lab in labs]
    ways += [("kernel", key) for key in keys]
    ways += [("tests", "")]
    what, name = data.draw(st.sampled_from(ways))
    match what:
        case "mail":
            less = replace(now, mails=tuple(one for one in now.mails if one != name))
        case "lab":
            less = replace(now, tests=tuple(one for one in now.tests if one.lab != name))
        case "kernel":
            less = replace(now, kernels=tuple(one for one in now.kernels if one.key != name))
        case _:
            less = replace(now, tests=())
            assume(before.labs())
    assert judge(less, before).kind is not Kind.PASS


@given(runs(), runs())
def test_only_a_complete_run_passes_and_only_with_its_mails(now: Results, before: Results) -> None:
    if judge(now, before).kind in GOOD:
        assert now.ended is Ended.COMPLETE
        assert all(mail.state is MailState.SEEN for mail in now.mails)
        assert all(kernel.status is not Status.UNKNOWN for kernel in now.kernels)
        assert set(before.by_key()) <= set(now.by_key())


@given(runs(), runs())
def test_reasons_come_by_weight_and_have_the_name_of_their_case(now: Results, before: Results) -> None:
    reasons = judge(now, before).reasons
    assert [one.level.weight for one in reasons] == sorted(one.level.weight for one in reasons)
    assert all(one.rule and one.text and len(one.text) < 400 for one in reasons)


# ---- the next baseline -----------------------------------------------------------------------------------------


@given(runs(), runs())
def test_what_passed_before_is_still_expected_after_a_bad_run_was_accepted(bad: Results, before: Results) -> None:
    after = expected(bad, Expected(before)).results
    passed = {one.key for one in before.kernels if one.status is Status.PASS}
    assert all(after.by_key()[key].status is Status.PASS for key in passed)
    assert before.labs() <= after.labs()
    now = bad.by_key()
    if any(key not in now or now[key].status is not Status.PASS for key in passed):
        assert judge(bad, after).kind in BAD  # a repetition of the same bad run is judged no better


@given(runs(), runs())
def test_what_two_accepted_runs_do_not_have_is_how_it_is_now(bad: Results, before: Results) -> None:
    twice = expected(bad, expected(bad, Expected(before)))
    assert set(twice.results.kernels) == set(bad.kernels)
    assert {one for one in twice.results.tests if one.there} == {one for one in bad.tests if one.there}
    assert twice.kept == frozenset()


@given(alright())
def test_an_accepted_run_in_which_all_is_right_is_the_baseline_as_it_is(run: Results) -> None:
    assert expected(run, None) == Expected(run)
    again = expected(run, Expected(run))
    assert set(again.results.kernels) == set(run.kernels)
    assert set(again.results.tests) == set(run.tests)
    assert again.kept == frozenset()
