"""The record of a pipe cleaner's builds: what one answer of Jenkins adds to it, and what it never takes away."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from kcibot.core.ports import Build, BuildRef, BuildResult
from kcibot.core.procedure import Context, Done, Procedure, Step
from kcibot_commands.pipecleaner.record import CHUNK, GONE, LOOKS, MARGIN, Page, Record, load, merged, save, topic
from kcibot_commands.rules.results import KernelKey
from tests.fakes.bench import PEOPLE, ROOM, make_bench

BEGAN = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
TRIGGER = BuildRef("trigger", 5)
SHARED = {"TREE_NAME": "kernelci", "GIT_DESCRIBE": "v5.10", "BUILD_ENVIRONMENT": "gcc-8"}


def build(number: int, result: BuildResult | None = None, *, config: str = "", ours: bool = True) -> Build:
    given = {**SHARED, "ARCH": "arm", "DEFCONFIG": config or f"config-{number}"}
    upstream = TRIGGER if ours else BuildRef("trigger", 6)
    ref, seconds = BuildRef("kernel-build", number), 60.0 if result else 0.0
    url = f"http://ci/job/kernel-build/{number}/"
    return Build(ref, result is None, result, BEGAN, seconds, 1000 + number, given, upstream, url)


def is_ours(one: Build) -> bool:
    return one.upstream == TRIGGER


def looked(record: Record, server: dict[int, Build], *, old_page: int = 0) -> Record:
    """One look at a job that has those builds; `old_page` is how many of the newest an old answer does not have."""
    next_build = max(server, default=0) + 1
    newest = max(next_build, record.seen + 1) - record.needed
    if newest <= 0:
        return record
    numbers = sorted(server, reverse=True)[old_page:][: newest + MARGIN]
    page = Page([server[number] for number in numbers], newest + MARGIN, next_build)
    return merged(record, page, is_ours)


def test_a_look_asks_for_what_is_open_and_what_is_new_only() -> None:
    server = {number: build(number, BuildResult.SUCCESS) for number in range(10, 100)}
    server |= {number: build(number) for number in (97, 99)}
    record = looked(Record("kernel-build", 10), server)
    assert (record.seen, record.open, record.needed) == (99, (97, 99), 97)
    server |= {97: build(97, BuildResult.SUCCESS), 99: build(99, BuildResult.SUCCESS)}
    record = looked(record, server)
    assert (len(record.builds), record.open, record.needed) == (90, (), 100)


def test_builds_before_the_first_and_those_of_others_are_not_in_it() -> None:
    server = {1: build(1, BuildResult.SUCCESS), 2: build(2), 3: build(3, ours=False)}
    assert list(looked(Record("kernel-build", 2), server).builds) == [2]


def test_what_has_ended_stays_as_it_is_when_jenkins_no_longer_has_it() -> None:
    record = looked(Record("kernel-build", 1), {1: build(1, BuildResult.FAILURE), 2: build(2)})
    record = looked(record, {2: build(2, BuildResult.SUCCESS), 3: build(3)})
    assert {number: one.result for number, one in record.builds.items()} == {1: "FAILURE", 2: "SUCCESS", 3: ""}


def test_an_open_build_that_is_missing_again_and_again_is_gone() -> None:
    record = looked(Record("kernel-build", 1), {1: build(1), 2: build(2)})
    for _ in range(LOOKS):
        assert record.open == (1, 2)
        record = looked(record, {2: build(2)})
    assert record.builds[1].result == GONE
    assert record.builds[1].lost
    assert record.open == (2,)


def test_an_old_page_neither_loses_a_build_nor_makes_an_ended_one_run_again() -> None:
    server = {number: build(number) for number in range(1, 6)}
    record = looked(Record("kernel-build", 1), {**server, 1: build(1, BuildResult.SUCCESS)})
    older = looked(record, server, old_page=2)
    assert older.builds[1].result == "SUCCESS"
    assert older.open == (2, 3, 4, 5)
    assert not older.whole
    assert looked(older, server).whole


def test_builds_that_pushed_the_oldest_out_of_the_answer_are_looked_at_again() -> None:
    """Many may start between the two requests: then the answer does not reach the oldest that must be seen."""
    record = Record("kernel-build", 1)
    found = [build(number) for number in range(80, 30, -1)]
    record = merged(record, Page(found, len(found), 30), is_ours)
    assert not record.whole
    assert record.needed == 1
    record = looked(record, {number: build(number) for number in range(1, 81)})
    assert record.whole
    assert len(record.builds) == 80


def test_a_kernel_that_was_built_twice_counts_once_by_its_last_build() -> None:
    server = {1: build(1, BuildResult.FAILURE, config="c"), 2: build(2, BuildResult.SUCCESS, config="c")}
    record = looked(Record("kernel-build", 1), server)
    assert {key: one.number for key, one in record.newest.items()} == {KernelKey("arm", "c", "gcc-8"): 2}


def test_every_builds_own_parameters_can_be_told_from_what_it_shares() -> None:
    server = {1: build(1), 2: build(2)}
    more = {**server[2].parameters, "LABS": "lab-x"}
    del more["TREE_NAME"]
    server[2] = replace(server[2], parameters=more)
    record = looked(Record("kernel-build", 1), server)
    assert record.parameters(record.builds[1]) == server[1].parameters
    assert record.parameters(record.builds[2]) == more
    assert record.link(record.builds[2]) == server[2].url


MOVES = st.lists(st.tuples(st.integers(1, 30), st.sampled_from([*BuildResult, None]), st.integers(0, 3)), max_size=40)


@given(MOVES)
def test_however_jenkins_answers_each_build_is_recorded_once_and_its_end_never_changes(
    moves: list[tuple[int, BuildResult | None, int]],
) -> None:
    server: dict[int, Build] = {}
    record, ends = Record("kernel-build", 1), dict[int, str]()
    for wanted, result, old_page in moves:
        number = min(wanted, len(server) + 1)
        if number not in server or server[number].building:
            server[number] = build(number, result)
        record = looked(record, server, old_page=old_page)
        for each, one in record.builds.items():
            assert ends.setdefault(each, one.result) == one.result or not ends[each]
            ends[each] = one.result
    for _ in range(LOOKS + 1):
        record = looked(record, server)
    assert record.whole
    assert record.builds.keys() == server.keys()
    for number, one in server.items():
        assert record.builds[number].result in {one.result.value if one.result else "", GONE}


# ---- in the journal --------------------------------------------------------------------------------------------


def test_what_is_kept_is_read_back_and_only_what_changed_is_written(tmp_path: Path) -> None:
    server = {number: build(number, BuildResult.SUCCESS) for number in range(1, 3 * CHUNK)}
    server[3 * CHUNK] = build(3 * CHUNK)
    first = looked(Record("kernel-build", 1), server)
    second = looked(first, {**server, 3 * CHUNK: build(3 * CHUNK, BuildResult.FAILURE)})
    written: list[str] = []

    def run(context: Context) -> Done[None]:
        save(context, topic(1, 1), "kernels", Record("kernel-build", 1), first)
        before = dict(context.recall(topic(1, 1)))
        assert load(before, "kernels") == first
        save(context, topic(1, 1), "kernels", first, second)
        after = context.recall(topic(1, 1))
        assert load(after, "kernels") == second
        assert load(after, "tests") is None
        written.extend(key for key in after if after[key] != before.get(key))
        return Done("", None)

    procedure = Procedure("p", Step("s", "S", run, type(None)))
    bench = make_bench(tmp_path, procedure)
    outcome = bench.engine.start(procedure, PEOPLE.get("operator"), ROOM, "", None)
    bench.journal.commit(outcome.changes)
    bench.engine.wake(outcome.wake)
    assert bench.run(outcome.wake[0]).steps[0].text == "", bench.run().steps[0]
    assert written == ["kernels 000003"]


def test_when_a_build_ended_is_its_start_and_its_seconds() -> None:
    record = looked(Record("kernel-build", 1), {1: build(1, BuildResult.SUCCESS)})
    assert record.builds[1].ended_at == BEGAN + timedelta(seconds=60)
