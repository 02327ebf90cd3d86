"""Names of releases: the pattern, the next name, and what is wrong with a name or a tag."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcibot_commands.rules.problem import RuleError, Severity
from kcibot_commands.rules.versions import (
    CoreTag,
    SuffixStyle,
    TagFacts,
    TargetType,
    Version,
    bump_subject,
    bump_version,
    core_tags,
    latest_core_tag,
    latest_version,
    next_core_tag,
    next_version,
    read_version,
    tag_problems,
    version_tag_problems,
    versions,
)

SHA = "0123456789abcdef0123456789abcdef01234567"
OTHER = "fedcba9876543210fedcba9876543210fedcba98"
FRIDAY = date(2019, 5, 10)

days = st.dates(min_value=date(2014, 1, 1), max_value=date(2030, 12, 31))
core_names = st.builds(
    lambda day, n: f"kernelci-{day:%Y%m%d}" + ("" if n is None else f".{n}"), days, st.none() | st.integers(0, 30)
)
junk = st.sampled_from(
    ["20190704.1", "kernelci-2019.12.02", "kernelci-1.0", "production-20260318074816", "staging-20211206.0", "2019.5.0"]
)


def rules(problems):
    return {problem.rule for problem in problems}


# ---- core tags


@pytest.mark.parametrize("name", ["kernelci-20190506", "kernelci-20190506.1", "kernelci-20220815.10"])
def test_a_release_tag_is_prefix_date_and_number(name):
    assert CoreTag.parse(name).name == name


@pytest.mark.parametrize(
    "name",
    [
        "20190704.1",
        "20221115.0",
        "kernelci-2019.12.02",
        "kernelci-20190231",
        "kernelci-20191199",
        "kernelci-1.0",
        "kernelci-20190506.",
        "kernelci-20190506\n",
        "kernelci-\N{FULLWIDTH DIGIT TWO}0190506",
        "staging-20211206.0",
        "production-20260318074816",
        "2019.5.0",
        "",
    ],
)
def test_anything_else_is_no_release_tag(name):
    assert CoreTag.parse(name) is None


@pytest.mark.parametrize(
    ("existing", "style", "name"),
    [
        ([], SuffixStyle.WHEN_NEEDED, "kernelci-20190510"),
        ([], SuffixStyle.ALWAYS, "kernelci-20190510.0"),
        (["kernelci-20190510"], SuffixStyle.WHEN_NEEDED, "kernelci-20190510.1"),
        (["kernelci-20190510.0"], SuffixStyle.ALWAYS, "kernelci-20190510.1"),
        (["kernelci-20190510", "kernelci-20190510.1"], SuffixStyle.WHEN_NEEDED, "kernelci-20190510.2"),
        (["kernelci-20190510.1"], SuffixStyle.ALWAYS, "kernelci-20190510.2"),  # a count would say .1
        (["kernelci-20190510.9", "kernelci-20190510.10"], SuffixStyle.WHEN_NEEDED, "kernelci-20190510.11"),
        (["kernelci-20190503", "kernelci-20190910", "20190510.7"], SuffixStyle.WHEN_NEEDED, "kernelci-20190510"),
    ],
)
def test_the_next_number_is_the_highest_of_that_day_plus_one(existing, style, name):
    assert next_core_tag(existing, FRIDAY, style) == name


@given(st.lists(core_names | junk), days, st.sampled_from(SuffixStyle))
def test_the_next_tag_is_new_and_sorts_last_among_all_up_to_that_day(existing, day, style):
    name = next_core_tag(existing, day, style)
    assert name not in existing
    assert core_tags([*existing, name]) != core_tags(existing)
    assert latest_core_tag([*existing, name], not_after=day).name == name


def test_a_tag_dated_in_the_future_by_mistake_is_not_the_latest():
    existing = ["kernelci-20190506.1", "kernelci-20190910", "kernelci-20190506", "2019.5.0"]
    assert latest_core_tag(existing, not_after=date(2019, 5, 17)).name == "kernelci-20190506.1"
    assert latest_core_tag(existing).name == "kernelci-20190910"
    assert latest_core_tag(["2019.5.0"]) is None


# ---- versions


def test_versions_compare_as_numbers_and_not_as_text():
    names = ["2019.10.0", "2019.9.1", "2020.01", "2020.10", "2020.10.1", "2020.9.1", "staging-20210612.0"]
    assert [one.text for one in versions(names)] == [
        "2019.9.1",
        "2019.10.0",
        "2020.01",
        "2020.9.1",
        "2020.10",
        "2020.10.1",
    ]


@pytest.mark.parametrize(
    ("existing", "day", "name"),
    [
        ([], FRIDAY, "2019.5.0"),
        (["2019.5.0", "2019.4.3"], FRIDAY, "2019.5.1"),
        (["2020.10"], date(2020, 10, 22), "2020.10.1"),
        (["2020.9.1"], date(2020, 9, 22), "2020.9.2"),
        (["2020.06.1"], date(2020, 6, 26), "2020.6.2"),
        (["2019.5.9", "2019.5.10"], FRIDAY, "2019.5.11"),
        (["2019.5.0"], date(2019, 6, 3), "2019.6.0"),
    ],
)
def test_the_version_number_restarts_each_month(existing, day, name):
    assert next_version(existing, day) == name


def test_the_frontends_first_version_of_a_month_is_bare():
    assert next_version(["2021.4"], date(2021, 5, 3), SuffixStyle.WHEN_NEEDED) == "2021.5"


@given(st.lists(st.builds("{}.{}.{}".format, st.integers(2018, 2022), st.integers(1, 12), st.integers(0, 30))), days)
def test_the_next_version_is_above_all_of_its_month(existing, day):
    new = Version.parse(next_version(existing, day)).numbers
    same_month = [one.numbers for one in versions(existing) if one.numbers[:2] == new[:2]]
    assert all(new > numbers for numbers in same_month)


def test_the_latest_version_leaves_out_later_months():
    assert latest_version(["2019.5.0", "2091.1"], not_after=FRIDAY).text == "2019.5.0"
    assert latest_version(["staging-20210612.0"]) is None


FILE = '# Copyright\r\n"""Handlers."""\n\n__version__ = "2019.5.0"\n__versionfull__ = __version__\n\tx = "2019.5.0"\n'


def test_the_version_file_is_read_and_changed_in_one_line_only():
    assert read_version(FILE) == "2019.5.0"
    assert bump_version(FILE, "2019.5.1", FRIDAY) == FILE.replace(
        '__version__ = "2019.5.0"', '__version__ = "2019.5.1"'
    )
    assert bump_subject("2019.5.1") == "Bump app version to 2019.5.1"


@pytest.mark.parametrize("new", ["2019.5.0", "2019.4.9", "2019.05", "kernelci-20190510", ""])
def test_a_version_that_is_none_or_not_above_is_refused(new):
    with pytest.raises(RuleError):
        bump_version(FILE, new, FRIDAY)


@pytest.mark.parametrize("slip", ["2062.1.0", "2019.7.0", "2019.13.0"])
def test_a_version_of_a_month_still_to_come_is_the_only_one_from_which_the_file_goes_down(slip):
    typed = FILE.replace("2019.5.0", slip)
    assert read_version(bump_version(typed.replace(f'x = "{slip}"', ""), "2019.5.1", FRIDAY)) == "2019.5.1"


@pytest.mark.parametrize("text", ["", "version = 1\n", FILE + FILE])
def test_a_file_without_exactly_one_version_line_is_refused(text):
    with pytest.raises(RuleError, match="one line"):
        read_version(text)


# ---- checks


@pytest.mark.parametrize("away", [-1, 0, 1])
def test_a_day_either_way_is_allowed(away):
    name = "kernelci-20190510"
    assert tag_problems(TagFacts(name, name, SHA), FRIDAY + timedelta(days=away), {}) == ()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("20190704.1", "prefix"),
        ("20221115.0", "prefix"),
        ("20221212.0", "prefix"),
        ("kernelci-2019.12.02", "dots"),
        ("kernelci-20191199", "no date 20191199"),
        ("kernelci-1.0", "YYYYMMDD"),
    ],
)
def test_a_malformed_name_is_stopped_and_says_why(name, says):
    (problem,) = tag_problems(TagFacts(name, name, SHA), FRIDAY, {})
    assert problem.rule == "pattern"
    assert says in problem.text


def test_a_tag_of_a_tag_is_stopped():
    tag = TagFacts("kernelci-20190510", "kernelci-20190510", SHA, TargetType.TAG)
    assert rules(tag_problems(tag, FRIDAY, {})) == {"target"}


def test_an_abbreviated_target_is_stopped():
    assert rules(tag_problems(TagFacts("kernelci-20190510", "kernelci-20190510", "0123456"), FRIDAY, {})) == {"target"}


def test_a_second_tag_on_a_released_commit_asks_for_a_confirmation():
    tag = TagFacts("kernelci-20210823", "kernelci-20210823", SHA)
    (problem,) = tag_problems(tag, date(2021, 8, 23), {"kernelci-20210816": SHA, "staging-20210816.0": SHA})
    assert (problem.rule, problem.severity) == ("released", Severity.CONFIRM)
    assert "kernelci-20210816" in problem.text
    assert "staging" not in problem.text


def test_an_existing_tag_is_never_moved():
    tag = TagFacts("kernelci-20190510", "kernelci-20190510", SHA)
    assert "exists" in rules(tag_problems(tag, FRIDAY, {"kernelci-20190510": OTHER}))


@pytest.mark.parametrize(
    ("name", "existing", "severity"),
    [
        ("kernelci-20220815.1", {}, Severity.CONFIRM),
        ("kernelci-20220815.5", {"kernelci-20220815.3": OTHER}, Severity.CONFIRM),
        ("kernelci-20220815.0", {"kernelci-20220815.3": OTHER}, Severity.STOP),
        ("kernelci-20220815", {"kernelci-20220815.0": OTHER}, Severity.STOP),
    ],
)
def test_a_number_out_of_turn_is_noticed(name, existing, severity):
    (problem,) = tag_problems(TagFacts(name, name, SHA), date(2022, 8, 15), existing)
    assert (problem.rule, problem.severity) == ("number", severity)


@pytest.mark.parametrize(
    ("name", "file", "existing", "rule"),
    [
        ("2019.5.1", "2019.5.1", {"2019.5.0"}, None),
        ("2019.5.1", "2019.5.0", {"2019.5.0"}, "file"),
        ("2019.5.1", "2019.5.1", {"2019.5.1"}, "exists"),
        ("2019.4.0", "2019.4.0", {"2019.5.0"}, "order"),
        ("2019.5", "2019.5", {"2019.5.0"}, "order"),
        ("2019.5.1", "2019.5.1", {"2062.1.0", "2019.13.0", "2019.7.0"}, None),
        ("2019.4.9", "2019.4.9", {"2019.4.8"}, None),  # tagged in the month after: real ones were
        ("2062.11.0", "2062.11.0", {"2019.5.0"}, "date"),
        ("2019.6.0", "2019.6.0", {"2019.5.0"}, "date"),
        ("2018.13.0", "2018.13.0", set(), "date"),
        ("2019.0.1", "2019.0.1", set(), "date"),
        ("kernelci-20190510", "2019.5.1", set(), "pattern"),
    ],
)
def test_a_version_tag_agrees_with_its_file_goes_up_and_names_a_month_that_has_begun(name, file, existing, rule):
    found = rules(version_tag_problems(TagFacts(name, name, SHA), file, FRIDAY, existing))
    assert found == ({rule} if rule else set())


def test_a_version_of_the_next_month_may_be_made_on_the_evening_before():
    tag = TagFacts("2019.6.0", "2019.6.0", SHA)
    assert version_tag_problems(tag, "2019.6.0", date(2019, 5, 31), ["2019.5.0"]) == ()


def test_a_lightweight_tag_is_stopped():
    tag = TagFacts("kernelci-20190510", "kernelci-20190510", SHA, annotated=False)
    assert rules(tag_problems(tag, FRIDAY, {})) == {"annotated"}
