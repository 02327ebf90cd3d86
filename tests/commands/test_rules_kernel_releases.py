"""Releases of the kernel that a pipe cleaner builds."""

import pytest

from kcibot_commands.rules.kernel_releases import newest_release, series_of


def test_the_newest_release_is_found_by_number_and_is_no_candidate():
    tags = ["v5.4.9", "v5.4.10", "v5.4", "v5.4.11-rc1", "v5.40.1", "v5.4.x", "next-20190510"]
    assert newest_release(tags, "5.4").name == "v5.4.10"


def test_a_series_without_releases_has_no_newest():
    assert newest_release(["v5.1-rc3"], "5.1") is None


@pytest.mark.parametrize(
    ("describe", "series"),
    [("v5.0.4", "5.0"), ("v5.10.3-1-gabcdef0", "5.10"), ("v5.2-rc3-38-gfb9efe9dfd51", "5.2"), ("next-20190510", "")],
)
def test_the_series_is_read_from_git_describe(describe, series):
    assert series_of(describe) == series
