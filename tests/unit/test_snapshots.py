"""What people see of the bot's real notices, in every renderer, is what was reviewed.

After a change that is wanted: `python -m tests.fakes.snapshots` in the folder of the project, then read the difference.
"""

import pytest

from tests.fakes.snapshots import kept, made


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    return kept()


@pytest.mark.parametrize("name", sorted(made()))
def test_a_notice_is_shown_as_it_was_reviewed(name: str, files: dict[str, str]) -> None:
    assert made()[name] == files.get(name)


def test_no_snapshot_is_left_of_what_is_not_made_any_more(files: dict[str, str]) -> None:
    assert set(files) == set(made())
