"""Step 3c: what still runs in the labs. They post results to the backend, and what comes while it restarts is lost.

Not every release has to wait for that: the decision not to is taken by configuration or by the plan, and recorded.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar

from kcibot.sdk import (
    Call,
    Context,
    Done,
    LabLook,
    Needed,
    Outcome,
    PermanentError,
    Procedure,
    Retry,
    Step,
    TransientError,
    Wait,
    command,
    listed,
    span,
)
from kcibot_commands.deploy.steps import Deployable
from kcibot_commands.drain import LONGEST, drain
from kcibot_commands.monitor.flags import MonitorSettings
from kcibot_commands.plan.steps import plan
from kcibot_commands.playbook_runs import broke_off
from kcibot_commands.rules.problem import worded

TRIGGERS = 48
"""How many builds of the trigger Jenkins keeps in production."""


class WaitFor(StrEnum):
    """BACKEND: only if this release deploys the backend, to which the labs post their results."""

    BACKEND = "backend"
    ALWAYS = "always"
    NEVER = "never"


@dataclass(frozen=True)
class LabsSettings:
    """Whether production changes before the labs and the report mails are done.

    `wait` says in which releases. `interval` lies between two looks at every lab; after `timeout` people decide.
    `mails` is how long after the last trigger's end report mails may still be sent, none for not waiting for them.
    """

    section: ClassVar[str] = "labs"
    wait: WaitFor = WaitFor.BACKEND
    interval: timedelta = timedelta(minutes=2)
    timeout: timedelta = timedelta(hours=4)
    mails: timedelta = timedelta()


@dataclass(frozen=True)
class Looked:
    """All labs at one time: those that answered, and why the others did not."""

    seen: tuple[LabLook, ...]
    unseen: Mapping[str, str]

    @property
    def open(self) -> int:
        return sum(lab.open for lab in self.seen)


def look_at(context: Context) -> Looked:
    """One look at every lab. One that cannot be seen is not idle."""
    seen: list[LabLook] = []
    unseen: dict[str, str] = {}
    for lab in context.ports.labs:
        try:
            seen.append(lab.look())
        except TransientError as error:
            unseen[lab.name] = str(error)
    return Looked(tuple(seen), unseen)


# ---- the step --------------------------------------------------------------------------------------------------


def wait_needed(context: Context) -> Needed:
    """Why nobody waits is part of the record: the card, the audit and the report have it."""
    settings = context.settings(LabsSettings)
    if settings.wait is WaitFor.NEVER:
        return Needed(needed=False, why="labs and report mails are not waited for, as configured")
    if settings.wait is WaitFor.BACKEND and not _deploys_backend(context):
        return Needed(needed=False, why="the backend stays as it is, so what the labs post arrives")
    if not context.ports.labs and not settings.mails:
        return Needed(needed=False, why="no lab is configured, so nobody knows what runs there")
    return Needed(needed=True)


def _deploys_backend(context: Context) -> bool:
    """Also what an earlier release began and did not end. Alone, nobody knows what comes after it."""
    if not context.has_result(plan):
        return True
    part = context.result(plan).parts.get(Deployable.BACKEND.value)
    if part is None:
        return False
    return (part.base or part.production) != part.release or broke_off(context, part.component)


def wait_for_labs(context: Context) -> Done[None] | Wait:
    """Wait until no lab has an open job of ours, and no report mail is due any more."""
    settings, now = context.settings(LabsSettings), context.clock.cautious_now()
    begun = _begun(context, now)
    left = [*_holding(look_at(context)), *_mails_due(context, settings, context.clock.now())]
    if not left:
        labs = worded(len(context.ports.labs), "lab")
        return Done(f"{labs} without an open job of ours", None)
    if now - begun >= settings.timeout:
        raise PermanentError(
            f"not all is done within {span(settings.timeout)}: {'; '.join(left)}. What is posted while the backend "
            f"restarts is lost. !release skip {drain_labs.id} REASON goes on, !release retry waits as long again"
        )
    return Wait(context.clock.now() + settings.interval, "; ".join(left), begun.isoformat())


def _begun(context: Context, now: datetime) -> datetime:
    """A step that people try again has no text yet: its time begins anew."""
    memory = context.memory
    known = isinstance(memory, str) and context.run.step(drain_labs.id).text
    return datetime.fromisoformat(str(memory)) if known else now


def _holding(looked: Looked) -> list[str]:
    unseen = [f"{name} cannot be seen, so what runs there is not known: {why}" for name, why in looked.unseen.items()]
    return [*(_row(lab) for lab in looked.seen if lab.open), *unseen]


def _row(lab: LabLook) -> str:
    return f"{lab.name}: {lab.running} running, {lab.submitted} waiting"


def _mails_due(context: Context, settings: LabsSettings, now: datetime) -> list[str]:
    """The backend sends a report some time after the last build, and a restart may lose what it has scheduled.

    The build that was started last need not be the last to end.
    """
    if not settings.mails:
        return []
    try:
        builds = context.ports.ci.builds(context.settings(MonitorSettings).trigger_job, TRIGGERS)
    except TransientError as error:
        return [f"whether report mails are due is not known: {error}"]
    ends = [build.started + timedelta(seconds=build.seconds) + settings.mails for build in builds]
    end = max(ends, default=now)
    return [f"report mails may be sent until {end:%H:%M} UTC"] if end > now else []


drain_labs = Step(
    "drain-labs",
    "Labs drained",
    wait_for_labs,
    type(None),
    needed=wait_needed,
    after=(drain,),
    limit=LONGEST,
)


# ---- the verb --------------------------------------------------------------------------------------------------


def show(context: Context) -> Done[None]:
    """Every lab's open jobs of ours and its boards."""
    looked = look_at(context)
    if not context.ports.labs:
        raise PermanentError("no lab is configured under services.labs")
    lines = [f"{worded(looked.open, 'open job')} of ours in {listed(_names(looked))}"]
    lines += [f"{_row(lab)}; {lab.devices_online} of {lab.devices_total} boards online" for lab in looked.seen]
    lines += [f"{name}: not known. {why}" for name, why in looked.unseen.items()]
    return Done("\n".join(lines), None)


def _names(looked: Looked) -> list[str]:
    return [*(lab.name for lab in looked.seen), *looked.unseen]


STATUS = Procedure("labs status", Step("labs-status", "Labs seen", show, type(None), retry=Retry(1)), card=False)


@command("labs status", role="observer")
def labs_status(call: Call) -> Outcome:
    """Say which jobs of ours are open in each lab, and how many boards are online."""
    return call.start(STATUS)
