"""What is remembered of the first results after a release: the watch, the revisions that it follows, their outcome."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from enum import StrEnum

from kcibot.sdk import Build, BuildRef, Revision, listed
from kcibot_commands.rules.first_results import Share
from kcibot_commands.rules.problem import worded
from kcibot_commands.rules.verdict_reasons import Level, Reason

WATCHED = "first-results"
"""Run -> what is watched after it."""
ENDED = "first-results-ended"
"""Run -> how its watch ended: title and lines."""
USUAL = "results-history"
"""`tree/branch` -> the newest revisions that were followed to their end, oldest first."""


NOTHING = Share("", 0, 0)


class Outcome(StrEnum):
    """Of one revision. NEW: there is nothing to compare with. OPEN: its builds, or the labs, are not done yet."""

    OPEN = "not done yet"
    SAME = "as before"
    WORSE = "worse than before"
    REMARKS = "with remarks"
    NEW = "with nothing to compare with"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Followed:
    """One trigger of the monitor's. `result` is how it ended on Jenkins, which says nothing of its kernels.

    `built` is when the results API first said that all builds were done; `seen` when it was asked last. `settled`:
    the labs were counted too, or nothing more can come. `trouble` says why nothing is known, for certain or so far.
    """

    trigger: int
    config: str
    monitor: int
    url: str
    started: datetime
    tree: str = ""
    branch: str = ""
    kernel: str = ""
    result: str = ""
    now: Share = NOTHING
    before: tuple[Share, ...] = ()
    built: datetime | None = None
    seen: datetime | None = None
    settled: bool = False
    reasons: tuple[Reason, ...] = ()
    trouble: str = ""

    @property
    def revision(self) -> Revision | None:
        """None until its first kernel told how the revision is called."""
        return Revision(self.tree, self.branch, self.kernel) if self.kernel else None

    @property
    def outcome(self) -> Outcome:
        """What can be said of it now; bad news is said as soon as it is known."""
        if any(reason.level is Level.FAIL for reason in self.reasons):
            return Outcome.WORSE
        if not self.settled:
            return Outcome.OPEN
        if self.trouble or self.built is None:
            return Outcome.UNKNOWN
        if not self.before:
            return Outcome.NEW
        return Outcome.REMARKS if self.reasons else Outcome.SAME

    @property
    def line(self) -> str:
        """`mainline v5.12: 190 of 200 kernels passed, 3 labs; as before`."""
        name = f"{self.config} {self.kernel}".rstrip()
        counts = (
            f"{self.now}, {worded(len(self.now.labs), 'lab')}" if self.seen and self.now.kernels else "no kernel yet"
        )
        why = [reason.text for reason in self.reasons] or ([self.trouble] if self.trouble else [])
        said = {Outcome.OPEN: "waiting for the labs" if self.built else "being built"}.get(self.outcome, self.outcome)
        return "; ".join([f"{name}: {counts}", str(said), *why])


@dataclass(frozen=True)
class Watched:
    """What is watched after that run: builds of the monitor from `first` on, among `configs` build configs.

    `trouble` is what could not be seen at the last look. `newest` is how many kernel builds a look asks for. `bad` are
    builds of the monitor that people were told of. `shown` is what was said last, so that nothing is said twice.
    """

    run: int
    title: str
    mentions: tuple[str, ...]
    first: int
    configs: int
    began: datetime
    until: datetime
    looked: datetime | None = None
    newest: int = 300
    followed: tuple[Followed, ...] = ()
    bad: tuple[int, ...] = ()
    trouble: str = ""
    shown: str = ""

    def with_one(self, one: Followed) -> "Watched":
        """The same, with that trigger as it is now."""
        return replace(self, followed=tuple(one if old.trigger == one.trigger else old for old in self.followed))

    @property
    def latest(self) -> datetime:
        """When everything ends that goes on after the watch's time."""
        return self.until + (self.until - self.began)

    @property
    def open(self) -> tuple[Followed, ...]:
        return tuple(one for one in self.followed if not one.settled)

    @property
    def json(self) -> dict[str, object]:
        """As plain values."""
        values = {key: _plain(value) for key, value in asdict(self).items() if key != "followed"}
        return {**values, "followed": [_row(one) for one in self.followed]}

    @classmethod
    def read(cls, value: object) -> "Watched | None":
        """What `json` wrote; None for anything else, as after a change of its shape."""
        try:
            return _read(value) if isinstance(value, dict) else None
        except (KeyError, TypeError, ValueError):
            return None


def begun(one: Build, config: str, monitor: BuildRef) -> Followed:
    return Followed(one.ref.number, config, monitor.number, one.url, one.started)


def usual_rows(value: object) -> tuple[Share, ...]:
    """What is remembered of a branch, oldest first."""
    try:
        return tuple(_share(row) for row in value) if isinstance(value, list) else ()
    except (KeyError, TypeError, ValueError):
        return ()


def share_row(one: Share) -> dict[str, object]:
    return {"kernel": one.kernel, "kernels": one.kernels, "passed": one.passed, "labs": list(one.labs)}


def summed(followed: tuple[Followed, ...]) -> str:
    """`6 revisions, as before`, or how many of them are what."""
    counts = {kind: [one for one in followed if one.outcome is kind] for kind in Outcome}
    found = [(kind, len(ones)) for kind, ones in counts.items() if ones]
    total = worded(len(followed), "revision")
    if len(found) == 1:
        return f"{total}, {found[0][0]}"
    return f"{total}: {listed([f'{count} {kind}' for kind, count in found])}"


# ---- as JSON ---------------------------------------------------------------------------------------------------


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    return list(value) if isinstance(value, tuple) else value


def _row(one: Followed) -> dict[str, object]:
    values = {each.name: _plain(getattr(one, each.name)) for each in fields(one)}
    reasons = [[reason.level.value, reason.rule, reason.text] for reason in one.reasons]
    return {**values, "now": share_row(one.now), "before": [share_row(old) for old in one.before], "reasons": reasons}


def _share(row: Mapping[str, object]) -> Share:
    labs = row["labs"]
    found = tuple(map(str, labs)) if isinstance(labs, list) else ()
    return Share(str(row["kernel"]), int(str(row["kernels"])), int(str(row["passed"])), found)


def _time(value: object) -> datetime | None:
    return datetime.fromisoformat(str(value)) if value else None


def _read(value: Mapping[str, object]) -> Watched:
    rows, mentions, bad = value["followed"], value["mentions"], value["bad"]
    times = {"began": _must(value["began"]), "until": _must(value["until"]), "looked": _time(value["looked"])}
    lists = {
        "mentions": tuple(map(str, mentions)) if isinstance(mentions, list) else (),
        "bad": tuple(int(number) for number in bad) if isinstance(bad, list) else (),
        "followed": tuple(map(_followed, rows)) if isinstance(rows, list) else (),
    }
    return Watched(**{**value, **times, **lists})  # type: ignore[arg-type]  # every name is a field, or this raises


def _must(value: object) -> datetime:
    return datetime.fromisoformat(str(value))


def _followed(row: Mapping[str, object]) -> Followed:
    now, before, reasons = row["now"], row["before"], row["reasons"]
    read = {
        "started": _must(row["started"]),
        "built": _time(row["built"]),
        "seen": _time(row["seen"]),
        "now": _share(now) if isinstance(now, dict) else NOTHING,
        "before": usual_rows(before),
        "reasons": tuple(Reason(Level(level), rule, text) for level, rule, text in reasons)
        if isinstance(reasons, list)
        else (),
    }
    return Followed(**{**row, **read})  # type: ignore[arg-type]  # every name is a field, or this raises
