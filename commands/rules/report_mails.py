"""KernelCI's report mails: when each is due, and what one that came or did not come means.

The backend sends them some time after the builds, by rules that stand in a shell script; a plan may send none. Its API
keeps one entry for each type of report, so that of all test plans together it can show that one was sent, no more.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase

from kcibot_commands.rules.results import Mail, MailState

SENT, ERROR = "SENT", "ERROR"
"""The API's words."""


class Needed(StrEnum):
    """The kinds that may be demanded. A test plan without regressions sends none, so nobody can demand its mail."""

    BUILD = "build"
    BOOT = "boot"


# ---- when they are due -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Schedule:
    """When the mails of a tree come: kind or test plan -> its delay after the builds; a plan may be a pattern.

    `needed` are the kinds that must come. After `cap` the backend sends whatever the delay says. `grace` is how late a
    mail may be before it is called missing. `guard` is how long an identical mail is refused. `done_files` is how many
    architectures must be done, exactly, for mails to be sent, as in 2019; 0 where there is no such rule.
    """

    delays: Mapping[str, timedelta]
    needed: Collection[str]
    default: timedelta
    cap: timedelta
    grace: timedelta
    guard: timedelta
    done_files: int = 0

    def delay(self, name: str) -> timedelta:
        """The first that fits, capped."""
        fitting = (delay for pattern, delay in self.delays.items() if fnmatchcase(name, pattern))
        return min(next(fitting, self.default), self.cap)

    @property
    def plans(self) -> tuple[str, ...]:
        """The test plans whose mails may come, by their patterns."""
        return tuple(name for name in self.delays if name not in set(Needed))


@dataclass(frozen=True, slots=True)
class Arrived:
    """A mail that lies in the mailbox."""

    kind: str
    plan: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one revision's mails.

    `api` is report type -> SENT or ERROR. `inbox` is None where there is no mailbox to look into; `trouble` says why
    it could not be seen. `before` is when the builds of the same kernel ended an earlier time. `architectures` is how
    many it has, 0 if nobody looked.
    """

    ended: datetime
    now: datetime
    api: Mapping[str, str]
    inbox: tuple[Arrived, ...] | None = None
    trouble: str = ""
    before: datetime | None = None
    architectures: int = 0


# ---- what became of each ---------------------------------------------------------------------------------------


def judged(schedule: Schedule, known: Known) -> tuple[Mail, ...]:
    """Every mail that must or may come, and what came besides."""
    kinds = [kind for kind in Needed if kind in schedule.needed or _word_of(kind, known)]
    return (*(_built(kind, schedule, known) for kind in kinds), *_tests(schedule, known))


def _word_of(kind: str, known: Known) -> bool:
    return kind in known.api or any(one.kind == kind for one in known.inbox or ())


def _built(kind: str, schedule: Schedule, known: Known) -> Mail:
    """A build or boot mail. What lies in the mailbox counts; without a mailbox, the API's word."""
    due = known.ended + schedule.delay(kind)
    absent = _absence(due, schedule, known)
    judge = _by_api if known.inbox is None else _by_inbox
    state, note = judge(kind, absent, schedule, known)
    return Mail(kind, state, due=due, note=note)


def _absence(due: datetime, schedule: Schedule, known: Known) -> MailState:
    """What it means that a mail is not there."""
    return MailState.MISSING if known.now >= due + schedule.grace else MailState.WAITING


def _by_api(kind: str, absent: MailState, schedule: Schedule, known: Known) -> tuple[MailState, str]:
    """Its entry has no date, so that after a day nobody knows for which build of a kernel it stands."""
    said = known.api.get(kind, "")
    unseen = MailState.UNKNOWN if absent is MailState.MISSING else absent
    if known.trouble:
        return unseen, _joined(known.trouble, f"the results API says {said}" if said else "")
    if said == ERROR:
        return MailState.ERROR, ""
    if not said:
        return absent, _why(schedule, known) if absent is MailState.MISSING else ""
    if known.before is None or _one_for_both(schedule, known):
        return MailState.SEEN, _once(schedule, known)
    return unseen, f"what the results API says may be of the earlier build, until {_time(known.before)}"


def _by_inbox(kind: str, absent: MailState, schedule: Schedule, known: Known) -> tuple[MailState, str]:
    said = known.api.get(kind, "")
    came = [one.at for one in known.inbox or () if one.kind == kind]
    counting = came if _never_again(schedule, known) else [at for at in came if at >= known.ended - schedule.guard]
    if counting:
        once = _once(schedule, known) if len(came) == 1 else ""
        return MailState.SEEN, _joined(_differs(said), once)
    if said == ERROR:
        return MailState.ERROR, ""
    older = f"the one of {_time(max(came))} is of an earlier build" if came else ""
    if said == SENT and not came:
        older = "the results API says that it was sent"
    return absent, _joined(older, _why(schedule, known)) if absent is MailState.MISSING else older


def _differs(said: str) -> str:
    """What the API says other than the mailbox, in which the mail lies."""
    if said == SENT:
        return ""
    return f"the results API says {said}" if said else "the results API knows nothing of it"


# ---- the traps -------------------------------------------------------------------------------------------------


def _never_again(schedule: Schedule, known: Known) -> bool:
    """With .done files (2019) a kernel's mails are sent in one run alone: an earlier build's mail is all there is."""
    return bool(schedule.done_files and known.before)


def _refused(schedule: Schedule, known: Known) -> bool:
    """The backend refuses a mail that it was asked for within a day."""
    return known.before is not None and known.ended - known.before < schedule.guard


def _one_for_both(schedule: Schedule, known: Known) -> bool:
    return _never_again(schedule, known) or _refused(schedule, known)


def _once(schedule: Schedule, known: Known) -> str:
    if known.before is None or not _one_for_both(schedule, known):
        return ""
    return f"one for both builds of this kernel: it was built before, until {_time(known.before)}"


def _why(schedule: Schedule, known: Known) -> str:
    """Why a mail that is missing could not come at all, as far as that is known."""
    if 0 < known.architectures < schedule.done_files:
        return (
            f"kernel-arch-complete sends mails when {schedule.done_files} architectures are done, "
            f"and this kernel has {known.architectures}"
        )
    if known.before is None:
        return ""
    built = f"this kernel was built before, until {_time(known.before)}"
    if _never_again(schedule, known):
        return f"{built}, and kernel-arch-complete sends its mails in the first run alone"
    return f"{built}, and the backend refuses an identical mail within a day" if _refused(schedule, known) else ""


# ---- test plans ------------------------------------------------------------------------------------------------


def _tests(schedule: Schedule, known: Known) -> Iterator[Mail]:
    if known.inbox is None:
        yield from _tests_by_api(schedule, known)
        return
    came = {one.plan for one in known.inbox if one.kind == "test" and one.at >= known.ended - schedule.guard}
    for plan in sorted(came):
        yield Mail("test", MailState.SEEN, plan, note="" if plan else "its subject names no plan")
    for pattern in schedule.plans:
        if not any(fnmatchcase(plan, pattern) for plan in came):
            yield _absent(pattern, schedule.delay(pattern), schedule, known)
    if known.api.get("test") == ERROR:
        yield Mail("test", MailState.ERROR, note="the results API names no plan")


def _tests_by_api(schedule: Schedule, known: Known) -> Iterator[Mail]:
    """One entry for all plans, each overwriting the last: whose mail it was is not known."""
    said = known.api.get("test", "")
    if said:
        state = MailState.SEEN if said == SENT else MailState.ERROR
        yield Mail("test", state, note="of at least one plan; the results API does not tell which")
    elif schedule.plans:
        yield _absent("", max(schedule.delay(plan) for plan in schedule.plans), schedule, known)


def _absent(plan: str, delay: timedelta, schedule: Schedule, known: Known) -> Mail:
    due = known.ended + delay
    return Mail("test", _absence(due, schedule, known), plan, due)


# ---- in words --------------------------------------------------------------------------------------------------


def shown(mails: Iterable[Mail]) -> tuple[str, ...]:
    """`build mail seen`, `test mails of baseline and igt seen`, `test mails of sleep due 14:50 UTC`."""
    found = tuple(mails)
    built = [_clause(one) for one in found if one.kind != "test"]
    return (*built, *_test_clauses([one for one in found if one.kind == "test"]))


def _clause(mail: Mail) -> str:
    note = f" ({mail.note})" if mail.note else ""
    return f"{mail.kind} mail {_state(mail, 'was')}{note}"


def _state(mail: Mail, was: str) -> str:
    at = f" {mail.due.astimezone(UTC):%H:%M} UTC" if mail.due else ""
    words = {
        MailState.SEEN: "seen",
        MailState.WAITING: f"due{at}",
        MailState.MISSING: f"missing, {was} due{at}" if at else "missing",
        MailState.ERROR: "could not be sent",
        MailState.UNKNOWN: "not known",
    }
    return words[mail.state]


def _test_clauses(mails: list[Mail]) -> Iterator[str]:
    """All plans of one state, and due at one time, in one clause."""
    groups: dict[str, list[str]] = {}
    for one in mails:
        groups.setdefault(_state(one, "were"), []).append(one.plan)
    for state, plans in groups.items():
        named = ", ".join(plan for plan in plans if plan)
        yield f"test mails of {named} {state}" if named else f"test mails {state}"


def _joined(*clauses: str) -> str:
    return "; ".join(clause for clause in clauses if clause)


def _time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%a %d %b %H:%M} UTC"
