"""When a timer trigger fires: the part of Jenkins' cron syntax that KernelCI's jobs use (numbers, `*`, `H`, `/n`)."""

import zlib
from datetime import UTC, datetime, timedelta

RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
LONGEST_SEARCH = timedelta(days=366)


def next_fire(spec: str, job: str, after: datetime) -> datetime | None:
    """The first full minute after `after` that matches; `H` is a number that the job's name decides.

    None for a line that never fires or is not understood.
    """
    parts = spec.split()
    if len(parts) != len(RANGES):
        return None
    allowed = [_values(part, index, job) for index, part in enumerate(parts)]
    moment = after.astimezone(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
    end = moment + LONGEST_SEARCH
    while moment < end:
        if not _day_matches(moment, allowed):
            moment = moment.replace(hour=0, minute=0) + timedelta(days=1)
        elif moment.hour not in allowed[1]:
            moment = moment.replace(minute=0) + timedelta(hours=1)
        elif moment.minute not in allowed[0]:
            moment += timedelta(minutes=1)
        else:
            return moment
    return None


def _day_matches(moment: datetime, allowed: list[set[int]]) -> bool:
    weekday = moment.isoweekday() % 7
    return moment.day in allowed[2] and moment.month in allowed[3] and weekday in allowed[4]


def _values(part: str, index: int, job: str) -> set[int]:
    low, high = RANGES[index]
    base, _, step = part.partition("/")
    stride = int(step) if step.isdigit() and step != "0" else 1
    if base == "*":
        return set(range(low, high + 1, stride))
    if base == "H":
        spread = stride if step else high - low + 1
        start = low + zlib.crc32(f"{job}/{index}".encode()) % spread
        return set(range(start, high + 1, stride)) if step else {start}
    return {int(number) for number in base.split(",") if number.isdigit()}
