"""Writing one definition to Jenkins as an effect: only over what was seen before, and nothing that was stored.

What goes through the journal comes back without the bot's secrets. So of what is to be replaced only a digest of its
meaning is kept, and the text to be written is made at the moment of writing.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from kcibot.sdk import (
    CiServer,
    Context,
    Happened,
    NotFound,
    NotHappened,
    OutcomeUnknown,
    PermanentError,
    Proof,
    digest,
)
from kcibot_commands.jobs.compare import about
from kcibot_commands.locks import still_locked
from kcibot_commands.rules.job_definitions import definition_differences, read_definition, with_disabled
from kcibot_commands.rules.job_secrets import with_secrets_of


@dataclass(frozen=True)
class Seen:
    """What a definition was when it was looked at: a digest of its meaning without flag and secrets, and its flag.

    The meaning is empty if there was no such job.
    """

    meaning: str
    disabled: bool


def seen(job: str, xml: str) -> Seen:
    if not xml:
        return Seen("", disabled=False)
    with about(job):
        read = read_definition(xml)
    return Seen(digest(replace(read, disabled=False).canonical()), read.disabled)


def live_or_none(ci: CiServer, job: str) -> str:
    """The job's definition, empty if there is no such job."""
    try:
        return ci.definition(job)
    except NotFound:
        return ""


def seen_before(context: Context, job: str) -> Seen:
    """What it is when the step first asks, the same after a restart."""

    def look() -> list[object]:
        now = seen(job, live_or_none(context.ports.ci, job))
        return [now.meaning, now.disabled]

    meaning, disabled = context.keep(f"{job} before", look)
    return Seen(str(meaning), bool(disabled))


def write(context: Context, job: str, wanted: str, live: str) -> None:
    """Write one definition in place of `live`, and see that Jenkins understood it so; live secrets stay."""
    put(context, job, lambda now: _with_secrets(job, wanted, now), seen(job, live))


def put(context: Context, job: str, wanted: Callable[[str], str], before: Seen) -> None:
    """Write what `wanted` makes of the live text (empty if there is none), if that is what was seen `before`.

    What people disabled or enabled since then stays so.
    """
    ci = context.ports.ci

    def finished(now: str) -> str:
        text, flag = wanted(now), seen(job, now).disabled
        if not now or not before.meaning or flag == before.disabled:
            return text
        with about(job):
            return with_disabled(text, disabled=flag)

    def act() -> str:
        now = live_or_none(ci, job)
        text = finished(now)
        if now and not _left(job, now, text):
            return job  # the seed job was quicker: it reads the same repository
        if seen(job, now).meaning != before.meaning:
            raise PermanentError(f"the definition of {job} was changed by somebody since it was shown; look again")
        still_locked(context)
        ci.define(job, text)
        return job

    def probe() -> Proof[str]:
        now = live_or_none(ci, job)
        if now and not _left(job, now, finished(now)):
            return Happened(job)
        if seen(job, now).meaning == before.meaning:
            return NotHappened()
        raise OutcomeUnknown(f"{job} is neither as it was nor as it should be: somebody else changes it")

    context.effect(f"define {job}", act, probe)
    now = ci.definition(job)
    left = _left(job, now, _with_secrets(job, finished(now), now))  # Jenkins gives secrets back encrypted
    if left:
        raise PermanentError(f"Jenkins took the definition of {job}, but reads it differently: {'; '.join(left)}")


def _left(job: str, now: str, wanted: str) -> tuple[str, ...]:
    """What `wanted` would still change."""
    with about(job):
        return definition_differences(read_definition(now), read_definition(wanted))


def _with_secrets(job: str, wanted: str, now: str) -> str:
    with about(job):
        return with_secrets_of(wanted, now) if now else wanted
