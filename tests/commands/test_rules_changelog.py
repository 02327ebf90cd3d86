"""From commits to the lines that people read."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from kcibot_commands.rules.changelog import Bullet, bullets, by_area, contributors, is_noise, split_subject

LOGS = Path(__file__).parents[2].parent / "shared" / "data" / "kernelci" / "logs"


@dataclass(frozen=True)
class Commit:
    subject: str
    author: str = "A. Developer"
    sha: str = "0123456789abcdef0123456789abcdef01234567"


def lines(*subjects):
    return [bullet.line for bullet in bullets([Commit(subject) for subject in subjects])]


@pytest.mark.parametrize(
    ("subject", "area", "text"),
    [
        ("kernelci.build: make all for mips", "kernelci.build", "make all for mips"),
        ("build.py: mips: use uImage.gz", "build.py", "mips: use uImage.gz"),
        ("dockerfiles/build-and-push.sh: replace -h", "dockerfiles/build-and-push.sh", "replace -h"),
        ("Add android-q branches to build-configs", "", "Add android-q branches to build-configs"),
        ('Revert "build.py: mips: use it"', "", 'Revert "build.py: mips: use it"'),
    ],
)
def test_a_subject_is_an_area_and_a_text(subject, area, text):
    assert split_subject(subject) == (area, text)


def test_commits_are_grouped_by_area_in_alphabetical_order_and_those_without_come_last():
    log = [Commit("Bump"), Commit("jenkins: two"), Commit("build.py: b"), Commit("Build: a"), Commit("jenkins: one")]
    grouped = {area: [commit.subject for commit in commits] for area, commits in by_area(log).items()}
    assert grouped == {
        "Build": ["Build: a"],
        "build.py": ["build.py: b"],
        "jenkins": ["jenkins: two", "jenkins: one"],
        "": ["Bump"],
    }
    assert list(grouped) == ["Build", "build.py", "jenkins", ""]


@pytest.mark.parametrize(
    "subject",
    [
        "Bump app version to 2019.5.2",
        "Bump app version number.",
        "Bump version.",
        "Merge pull request #126 from someone/skip-boot-conflicts",
        "Merge branch 'master' into staging",
    ],
)
def test_what_a_release_does_to_itself_is_dropped(subject):
    assert is_noise(subject)
    assert lines(subject) == []


@pytest.mark.parametrize("subject", ["Bump flask from 0.12.3 to 1.0", "build.jpl: update the version check"])
def test_what_only_resembles_it_is_kept(subject):
    assert lines(subject) == [subject]


def test_lines_are_grouped_by_area_oldest_first_and_the_rest_comes_last():
    newest_first = ["Add extra trees", "build.py: second", "test-configs.yaml: drop lpae", "build.py: first"]
    assert lines(*newest_first) == [
        "build.py: first",
        "build.py: second",
        "test-configs.yaml: drop lpae",
        "Add extra trees",
    ]


def test_equal_subjects_are_one_line():
    (bullet,) = bullets([Commit("a: b", sha="2"), Commit("a: b", sha="1")])
    assert bullet == Bullet("a", "b", ("1", "2"))


def test_root_file_system_updates_are_one_short_line():
    assert lines(
        "test-configs.yaml: update rootfs URLs to 20190510.0 except stretch-igt",
        "test-configs.yaml: update rootfs URLs to 20190506.0",
        "build.py: x",
    ) == ["build.py: x", "new root file systems 20190506.0, then 20190510.0 except stretch-igt"]
    assert lines("test-configs.yaml: upgrade stretch rootfs variants") == ["new root file systems"]


def test_contributors_come_by_number_of_commits_without_addresses_and_bots():
    log = [
        Commit("a: 1", "B. Second <b@example.org>"),
        Commit("a: 2", "A. First <a@example.org>"),
        Commit("a: 3", "A. First"),
        Commit("a: 4", "kernelci.org bot"),
        Commit("Merge pull request #1 from x/y", "C. Merger"),
    ]
    assert contributors(log, leave_out=["kernelci.org bot"]) == ("A. First", "B. Second")


@pytest.mark.skipif(not LOGS.is_dir(), reason="the real logs are not beside this repository")
def test_every_real_commit_is_in_a_line_or_is_noise():
    for path in LOGS.glob("*.txt"):
        rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
        log = [Commit(row[3], row[2], row[0]) for row in rows]
        shown = {sha for bullet in bullets(log) for sha in bullet.shas}
        assert shown | {one.sha for one in log if is_noise(one.subject)} == {one.sha for one in log}
        assert contributors(log)
