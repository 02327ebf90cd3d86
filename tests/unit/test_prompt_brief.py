"""The essence of a prompt, which is all that is said of a change where nothing can be edited."""

from dataclasses import replace

from kcibot.core.gate import Choice
from kcibot.core.notice import Notice
from tests.fakes.real_notices import asked, vote


def test_every_vote_that_comes_or_is_taken_back_is_another_essence() -> None:
    first, second = vote("manager-1", Choice.APPROVE), vote("manager-2", Choice.APPROVE)
    taken_back = replace(first, withdrawn=True)
    told: list[Notice] = [asked(), asked(first), asked(first, second), asked(taken_back, second)]
    assert len({notice.milestone for notice in told}) == len(told)
    assert len({notice.brief for notice in told}) == len(told)
    assert "manager-1 approves (withdrawn)" in told[-1].brief
