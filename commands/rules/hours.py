"""Production hours and the comment window, in UTC throughout.

An announcement leaves people at least a day to comment (KernelCI's procedure, step 2); after it, production is only
touched in hours in which somebody is there to look.
"""

from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

from kcibot.sdk import Hours
from kcibot_commands.rules.problem import RuleError

COMMENT_WINDOW = timedelta(hours=24)
WORKING_DAYS = frozenset(range(5))
_WEEK = 7
_MIDNIGHT = time(0, 0)
_DAY = timedelta(days=1)


class Counting(StrEnum):
    """Whether the comment window runs through weekends."""

    ALL_DAYS = "all days"
    WORKING_DAYS = "working days"


def comment_window_end(
    sent: datetime, length: timedelta = COMMENT_WINDOW, counting: Counting = Counting.ALL_DAYS
) -> datetime:
    """When people have had their time to comment. `sent` is when the list's server accepted the mail.

    Counting working days only, time stands still on Saturdays and Sundays (UTC).
    """
    start = _utc(sent)
    if counting is Counting.ALL_DAYS:
        return start + length
    return _add_working_time(start, length)


def earliest_start(
    sent: datetime, hours: Hours, length: timedelta = COMMENT_WINDOW, counting: Counting = Counting.ALL_DAYS
) -> datetime:
    """The first moment in production hours after the comment window."""
    return hours.next_opening(comment_window_end(sent, length, counting))


def _add_working_time(start: datetime, length: timedelta) -> datetime:
    at, left = start, length
    while True:
        midnight = datetime.combine(at.date() + _DAY, _MIDNIGHT, UTC)
        if _works(at.date()):
            if left < midnight - at:
                return at + left
            left -= midnight - at
        at = midnight


def _works(day: date) -> bool:
    return day.weekday() in WORKING_DAYS


def _utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise RuleError("a time without its time zone cannot be compared with production hours")
    return at.astimezone(UTC)
