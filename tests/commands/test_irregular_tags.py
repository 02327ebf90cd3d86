"""Every irregular tag of KernelCI's past: which check finds it, and that none of them stands in a release's way."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from kcibot.core.procedure import Procedure
from kcibot.core.run import RunState
from kcibot_commands.plan.steps import plan
from kcibot_commands.rules.versions import (
    CoreTag,
    SuffixStyle,
    TagFacts,
    TargetType,
    Version,
    next_core_tag,
    next_version,
    tag_problems,
    version_tag_problems,
)
from kcibot_commands.tags import create_tags
from tests.fakes.kernelci_bench import PRODUCTION, Kernelci, kernelci, result, start

TAGS = Path(__file__).parents[2].parent / "shared" / "data" / "kernelci" / "tags"
real_tags = pytest.mark.skipif(not TAGS.is_dir(), reason="the real tag lists are not beside this repository")
SHA = "0123456789abcdef0123456789abcdef01234567"
SAME = {"kernelci-20210816": SHA}
"""What was on that commit before."""


@dataclass(frozen=True)
class Irregular:
    """A tag as it was made; of a lightweight one nobody knows when. `found` are the checks that find it."""

    name: str
    made: date
    found: frozenset[str]
    message: str
    annotated: bool = True
    target: TargetType = TargetType.COMMIT
    existing: Mapping[str, str] | None = None

    def problems(self) -> set[str]:
        facts = TagFacts(self.name, self.message, SHA, self.target, self.annotated)
        return {problem.rule for problem in tag_problems(facts, self.made, self.existing or {})}


def made(name: str, day: str, found: str, message: str = "") -> Irregular:
    return Irregular(name, date.fromisoformat(day), frozenset(found.split()), message or name)


def light(name: str, day: str, found: str, existing: Mapping[str, str] | None = None) -> Irregular:
    return Irregular(name, date.fromisoformat(day), frozenset(found.split()), name, annotated=False, existing=existing)


def of_a_tag(name: str, day: str, found: str) -> Irregular:
    return Irregular(name, date.fromisoformat(day), frozenset(found.split()), name, target=TargetType.TAG)


CORE = (
    # a wrong month, day or year
    made("kernelci-20190910", "2019-05-10", "date"),
    made("kernelci-20190626", "2019-07-29", "date"),
    made("kernelci-20200206", "2020-03-09", "date"),
    made("kernelci-20111115", "2021-11-15", "date message", message="kernelci-20211115"),
    # no prefix, dots, and the tag of a tag that was to mend them
    made("20190704.1", "2019-07-04", "pattern"),
    made("kernelci-2019.12.02", "2019-12-02", "pattern"),
    of_a_tag("kernelci-20191202", "2019-12-13", "date target"),
    # another day in the message
    made("kernelci-20191101", "2019-11-01", "message", message="kernelci-20191191"),
    # two releases of one commit
    light("kernelci-20210816", "2021-08-16", "annotated"),
    light("kernelci-20210823", "2021-08-23", "annotated released", SAME),
    # made days after the day that they name
    made("kernelci-20190809", "2019-08-19", "date"),
    made("kernelci-20191220", "2019-12-24", "date"),
    made("kernelci-20200110", "2020-01-14", "date"),
    made("kernelci-20210506", "2021-05-10", "date"),
    made("kernelci-20210528", "2021-06-14", "date"),
    made("kernelci-20210614", "2021-06-24", "date"),
    made("kernelci-20210726", "2021-07-30", "date"),
    # names of a commit, without who made them and when
    light("kernelci-20190517", "2019-05-17", "annotated"),
    light("kernelci-20210412", "2021-04-12", "annotated"),
    light("kernelci-20210426", "2021-04-26", "annotated"),
    light("kernelci-20211206", "2021-12-06", "annotated"),
    # counted: there is no .0
    made("kernelci-20220815.1", "2022-08-15", "number"),
)
JENKINS = (
    light("kernelci-20220109.0", "2023-01-09", "annotated date"),
    light("20221115.0", "2022-11-15", "annotated pattern"),
    light("20221212.0", "2022-12-12", "annotated pattern"),
)


@pytest.mark.parametrize("tag", [*CORE, *JENKINS], ids=lambda tag: tag.name)
def test_every_irregular_tag_of_the_past_is_found_by_its_checks(tag: Irregular) -> None:
    assert tag.problems() == tag.found


BACKEND = (
    ("2020.9.1", "2020-09-11", "2020.9.2"),
    ("2020.10", "2020-10-02", "2020.10.1"),
    ("2020.11", "2020-11-05", "2020.11.1"),
)
FRONTEND = (
    ("2018.9", "2018-09-14", "2018.9.1"),
    ("2019.10", "2019-10-25", "2019.10.1"),
    ("2020.01", "2020-01-24", "2020.1.1"),
    ("2020.06.1", "2020-06-26", "2020.6.2"),
    ("2021.4", "2021-04-02", "2021.4.1"),
)


@pytest.mark.parametrize(("name", "day", "following"), [*BACKEND, *FRONTEND])
def test_an_irregular_version_is_a_version_and_the_next_one_is_above_it(name: str, day: str, following: str) -> None:
    today = date.fromisoformat(day)
    assert version_tag_problems(TagFacts(name, name, SHA), name, today, ()) == ()
    assert next_version([name], today) == following
    assert version_tag_problems(TagFacts(following, following, SHA), following, today, [name]) == ()


# ---- a repository that has them all ----------------------------------------------------------------------------


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Kernelci]:
    with kernelci(tmp_path) as there:
        yield there


def put(place: Kernelci, repository: str, commit: str, *tags: Irregular) -> None:
    """Make them on that commit; the tag of a tag gets one to point at."""
    stream = []
    for number, tag in enumerate(tags, start=1):
        if not tag.annotated:
            stream.append(f"reset refs/tags/{tag.name}\nfrom {commit}\n\n")
            continue
        origin = commit
        if tag.target is TargetType.TAG:
            origin = f":{number}"
            stream.append(annotated(f"of-{tag.name}", commit, "between", number))
        stream.append(annotated(tag.name, origin, tag.message))
    place.git(repository, "fast-import", "--quiet", given="".join(stream).encode())


def annotated(name: str, origin: str, message: str, mark: int = 0) -> str:
    marked = f"mark :{mark}\n" if mark else ""
    tagger = "tagger developer-1 <developer-1@example.org> 1573000000 +0000"
    return f"tag {name}\n{marked}from {origin}\n{tagger}\ndata {len(message) + 1}\n{message}\n\n"


def test_no_wrong_tag_of_the_past_confuses_the_plan(place: Kernelci) -> None:
    to_come = made("2062.1.0", "2026-01-10", ""), made("2026.12.7", "2026-11-02", "")
    for repository, tags in (
        ("core", (*CORE, made("kernelci-20621116", "2026-11-16", ""))),
        ("jenkins", JENKINS),
        ("backend", (*(made(name, day, "") for name, day, _ in BACKEND if name != "2020.11"), *to_come)),
        ("frontend", (*(made(name, day, "") for name, day, _ in FRONTEND), *to_come)),
    ):
        put(place, repository, place.git(repository, "rev-parse", f"{PRODUCTION}~1"), *tags)
    bench = place.bench()
    run = start(bench, Procedure("release", plan, create_tags))
    found = result(bench, run, plan)
    assert run.state is RunState.SUCCEEDED
    assert {part.component: (part.tag, part.previous) for part in found.parts.values() if part.tag} == {
        "core": ("kernelci-20261123", "kernelci-20261116"),
        "backend": ("2026.11.1", "2026.11.0"),
        "frontend": ("2026.11.2", "2026.11.1"),
        "jenkins": ("kernelci-20261123", "kernelci-20261109"),
    }
    assert (found.name, found.confirm) == ("kernelci-20261123", ())
    assert found.warnings == ()


def test_no_wrong_tag_on_the_very_commit_is_taken_for_this_release(place: Kernelci) -> None:
    put(place, "core", place.head("core"), *CORE)
    put(place, "jenkins", place.head("jenkins"), *JENKINS)
    bench = place.bench()
    run = start(bench, Procedure("release", plan, create_tags))
    found = result(bench, run, plan)
    assert run.state is RunState.SUCCEEDED
    assert (found.part("core").tag, found.part("core").tagged) == ("kernelci-20261123", "")
    assert (found.part("jenkins").tag, found.part("jenkins").tagged) == ("kernelci-20261123", "")
    first, second = found.confirm
    assert first.startswith(f"core: {place.head('core')[:12]} is released already as kernelci-20111115, kernelci-2019")
    assert second == (
        f"jenkins: {place.head('jenkins')[:12]} is released already as kernelci-20220109.0: a second tag needs a "
        "confirmation"
    )


# ---- the real lists --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """A line of a real list; ids are abbreviated there. The day of a lightweight tag is its commit's."""

    name: str
    day: date
    annotated: bool
    object_id: str
    commit: str
    message: str


def rows(repository: str) -> list[Row]:
    """All tags of that repository, oldest first."""
    found = []
    for line in (TAGS / f"tags-kernelci-{repository}.txt").read_text(encoding="utf-8").splitlines():
        name, day, kind, object_id, peeled, _tagger, subject = line.split("\t")
        full = (peeled or object_id).ljust(40, "0")
        found.append(Row(name, date.fromisoformat(day), kind == "tag", object_id, full, subject))
    return sorted(found, key=lambda row: row.day)


def findings(repository: str) -> Mapping[str, set[str]]:
    """Rule -> the tags that it finds, each looked at as if it were made on that day, after those before it."""
    existing: dict[str, str] = {}
    objects = {row.object_id.ljust(40, "0") for row in rows(repository) if row.annotated}
    found: dict[str, set[str]] = {}
    for row in rows(repository):
        kind = TargetType.TAG if row.commit in objects else TargetType.COMMIT
        facts = TagFacts(row.name, row.message if row.annotated else row.name, row.commit, kind, row.annotated)
        for problem in tag_problems(facts, row.day, existing):
            found.setdefault(problem.rule, set()).add(row.name)
        existing[row.name] = row.commit
    return found


OTHERS = re.compile(r"(staging|production|chromeos|api)-[0-9.]+|[0-9]{4}\.[0-9]{1,2}(\.[0-9]+)?|kernelci-1\.[01]")
"""Tags that are no releases, and not meant to be: staging, versions, other instances, packages."""


def named(text: str) -> set[str]:
    """`20190910 20211220` as names of releases."""
    return {f"kernelci-{one}" for one in text.split()}


@real_tags
def test_every_real_error_of_core_is_found_and_nothing_else() -> None:
    found = findings("core")
    light_ones = named("20190517 20210412 20210426 20210816 20210823 20211025 20211206 20211220")
    assert {name for name in found["pattern"] if not OTHERS.fullmatch(name)} == {"20190704.1", "kernelci-2019.12.02"}
    assert {name for name in found["annotated"] if CoreTag.parse(name)} == light_ones
    assert {name for name in found["message"] if CoreTag.parse(name)} == named("20191101 20111115")
    assert found["target"] == named("20191202")
    assert found["released"] == named("20210823")
    assert found["number"] == named("20220815.1 20220829.1 20230822.1")
    assert found["date"] - light_ones == named(
        "20190910 20190626 20190809 20191202 20191220 20200110 20200206 20200313 20200417 20201113 20201123 20210315 "
        "20210506 20210528 20210614 20210712 20210726 20111115"
    )
    assert found.keys() == {"pattern", "annotated", "message", "target", "released", "number", "date"}


@real_tags
def test_every_real_error_of_jenkins_is_found_and_nothing_else() -> None:
    found = findings("jenkins")
    light_ones = named(
        "20211025 20211206 20220321 20220801.0 20220905.0 20220919.0 20220926.0 20221011.0 20221212.0 20221216.0 "
        "20220109.0 20230130.0 20230206.0 20230213.0 20230302.0"
    )
    assert {name for name in found["pattern"] if not OTHERS.fullmatch(name)} == {"20221115.0", "20221212.0"}
    assert {name for name in found["annotated"] if CoreTag.parse(name)} == light_ones
    assert found["released"] == named("20230206.0")
    assert found["date"] - light_ones == named("20220215")
    assert found.keys() == {"pattern", "annotated", "released", "date"}


@real_tags
def test_the_table_says_of_every_tag_what_the_real_list_says() -> None:
    for repository, tags in (("core", CORE), ("jenkins", JENKINS)):
        known = {row.name: row for row in rows(repository)}
        for tag in tags:
            assert known[tag.name].annotated is tag.annotated
            if tag.annotated:
                assert (known[tag.name].day, known[tag.name].message) == (tag.made, tag.message)
    versions = {(where, row.name): row.day for where in ("backend", "frontend") for row in rows(where)}
    for where, named_so in (("backend", BACKEND), ("frontend", FRONTEND)):
        assert all(versions[where, name] == date.fromisoformat(day) for name, day, _ in named_so)


@real_tags
@pytest.mark.parametrize("style", list(SuffixStyle))
@pytest.mark.parametrize("repository", ["core", "jenkins"])
def test_on_no_day_of_the_past_would_the_next_tag_have_been_stopped(repository: str, style: SuffixStyle) -> None:
    existing: dict[str, str] = {}
    for row in rows(repository):
        name = next_core_tag(existing, row.day, style)
        assert tag_problems(TagFacts(name, name, SHA), row.day, existing) == ()
        existing[row.name] = row.commit


@real_tags
@pytest.mark.parametrize("repository", ["backend", "frontend", "core"])
def test_on_no_day_of_the_past_would_the_next_version_have_been_stopped(repository: str) -> None:
    existing = {"2062.1.0"}  # as if somebody had mistyped one at the very beginning
    for row in rows(repository):
        name = next_version(existing, row.day)
        assert version_tag_problems(TagFacts(name, name, SHA), name, row.day, existing) == ()
        existing.add(row.name)


@real_tags
def test_the_real_lists_hold_as_many_releases_as_they_always_did() -> None:
    core = rows("core")
    assert (len(core), sum(CoreTag.parse(row.name) is not None for row in core)) == (435, 237)
    assert sum(Version.parse(row.name) is not None for row in rows("frontend")) > 80
