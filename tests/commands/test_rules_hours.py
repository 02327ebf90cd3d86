"""Production hours and the comment window."""

from datetime import UTC, datetime, time, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcibot.sdk import Hours
from kcibot_commands.rules.hours import Counting, comment_window_end, earliest_start

WORK = Hours()  # Monday to Friday, 09:00 to 17:00
moments = st.timedeltas(timedelta(0), timedelta(days=800)).map(lambda past: datetime(2019, 1, 1, tzinfo=UTC) + past)


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "is_open", "opening", "closing"),
    [
        ("2019-05-10 09:00", True, "2019-05-10 09:00", "2019-05-10 17:00"),
        ("2019-05-10 16:59", True, "2019-05-10 16:59", "2019-05-10 17:00"),
        ("2019-05-10 17:00", False, "2019-05-13 09:00", "2019-05-13 17:00"),
        ("2019-05-10 08:59", False, "2019-05-10 09:00", "2019-05-10 17:00"),
        ("2019-05-11 12:00", False, "2019-05-13 09:00", "2019-05-13 17:00"),
    ],
)
def test_hours_open_and_close_in_utc(moment, is_open, opening, closing):
    assert WORK.is_open(at(moment)) is is_open
    assert WORK.next_opening(at(moment)) == at(opening)
    assert WORK.closing(at(moment)) == at(closing)


def test_another_time_zone_is_the_same_moment():
    berlin = timezone(timedelta(hours=2))
    assert WORK.is_open(datetime(2019, 5, 10, 11, 0, tzinfo=berlin))
    assert not WORK.is_open(datetime(2019, 5, 10, 10, 59, tzinfo=berlin))


def test_hours_may_end_at_midnight():
    hours = Hours(frozenset({4}), time(22, 0), time(0, 0))
    assert hours.closing(at("2019-05-10 23:00")) == at("2019-05-11 00:00")
    assert Hours(frozenset(range(7)), time(0, 0), time(0, 0)).is_open(at("2019-05-11 23:59"))


@given(moments)
def test_the_next_opening_is_open_and_never_earlier(moment):
    opening = WORK.next_opening(moment)
    assert opening >= moment
    assert WORK.is_open(opening)
    assert WORK.closing(moment) > opening


@pytest.mark.parametrize(
    ("days", "start", "end"),
    [
        (frozenset(), time(9), time(17)),
        (frozenset({7}), time(9), time(17)),
        (frozenset({1}), time(17), time(9)),
        (frozenset({1}), time(9), time(9)),
        (frozenset({1}), time(9, tzinfo=UTC), time(17)),
    ],
)
def test_hours_that_never_open_are_refused(days, start, end):
    with pytest.raises(ValueError, match="production hours"):
        Hours(days, start, end)


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="time zone"):
        WORK.is_open(datetime(2019, 5, 10, 9, 0))  # noqa: DTZ001  # that is the point


@pytest.mark.parametrize(
    ("sent", "counting", "end", "start"),
    [
        ("2019-05-09 10:00", Counting.ALL_DAYS, "2019-05-10 10:00", "2019-05-10 10:00"),
        ("2019-05-09 18:00", Counting.ALL_DAYS, "2019-05-10 18:00", "2019-05-13 09:00"),
        ("2019-05-10 15:00", Counting.ALL_DAYS, "2019-05-11 15:00", "2019-05-13 09:00"),
        ("2019-05-10 15:00", Counting.WORKING_DAYS, "2019-05-13 15:00", "2019-05-13 15:00"),
        ("2019-05-11 15:00", Counting.WORKING_DAYS, "2019-05-14 00:00", "2019-05-14 09:00"),
        ("2019-05-10 00:00", Counting.WORKING_DAYS, "2019-05-13 00:00", "2019-05-13 09:00"),
        ("2019-05-08 10:00", Counting.WORKING_DAYS, "2019-05-09 10:00", "2019-05-09 10:00"),
    ],
)
def test_people_have_a_day_to_comment_and_then_production_hours_come(sent, counting, end, start):
    assert comment_window_end(at(sent), counting=counting) == at(end)
    assert earliest_start(at(sent), WORK, counting=counting) == at(start)


@given(moments, st.timedeltas(timedelta(0), timedelta(days=10)))
def test_counting_working_days_never_shortens_the_window(moment, length):
    assert comment_window_end(moment, length, Counting.WORKING_DAYS) >= comment_window_end(moment, length)
