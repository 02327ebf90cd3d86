"""The small release's procedure: every kind of effect and of waiting once, over the real adapters."""

import sys
from dataclasses import dataclass
from datetime import datetime, timedelta

from kcibot.core.registry import Registry
from kcibot.errors import OutcomeUnknown
from kcibot.sdk import (
    EVERYBODY,
    Build,
    BuildRef,
    BuildResult,
    Call,
    Context,
    Done,
    Gate,
    Happened,
    Mail,
    NotHappened,
    Notice,
    Outcome,
    PermanentError,
    Preview,
    Procedure,
    Proof,
    RefUpdate,
    Sent,
    Step,
    Wait,
    command,
)

REPOSITORIES = ("core", "backend")
DEVELOPMENT, PRODUCTION = "main", "kernelci.org"
MESSAGE_ID = "<small-release-{run}@example.org>"
SENDER, LIST = "kcibot@example.org", "release-list@example.org"
JOB, PARAMETER = "kernel-build", "RELEASE"
REST = timedelta(seconds=30)
LOOK_AGAIN = timedelta(seconds=2)
LOCK = "small-lock"


@dataclass(frozen=True)
class Heads:
    """Repository -> where its production branch was, and the commit that it is to be moved to."""

    old: dict[str, str]
    new: dict[str, str]


def look(context: Context) -> Done[Heads]:
    context.claim(LOCK, "production", {"run": context.run.id})
    old: dict[str, str] = {}
    new: dict[str, str] = {}
    for name in REPOSITORIES:
        git = context.ports.git.remote(name)
        git.fetch()
        branches = git.branches()
        old[name], new[name] = branches[PRODUCTION], branches[DEVELOPMENT]
    return Done("both repositories seen", Heads(old, new))


plan = Step("look", "Repositories seen", look, Heads)


def push_step(name: str) -> Step[str]:
    """Move one production branch, and tag what it was moved to, in one push."""

    def preview(context: Context) -> Preview:
        heads = context.result(plan)
        old = context.ports.git.remote(name).branches()[PRODUCTION]
        return Preview({"old": old, "new": heads.new[name]}, (f"{name}: {old[:12]} -> {heads.new[name][:12]}",))

    def run(context: Context) -> Done[str]:
        heads, git = context.result(plan), context.ports.git.remote(name)
        at = datetime.fromisoformat(context.keep("date", lambda: context.clock.now().isoformat()))
        tag = f"release-{context.run.id}"
        tag_object = git.annotate(tag, heads.new[name], tag, at)
        updates = (
            RefUpdate(f"refs/heads/{PRODUCTION}", heads.new[name], heads.old[name]),
            RefUpdate(f"refs/tags/{tag}", tag_object, None),
        )

        def push() -> str:
            git.push(updates)
            return heads.new[name]

        def probe() -> Proof[str]:
            return Happened(heads.new[name]) if git.branches()[PRODUCTION] == heads.new[name] else NotHappened()

        return Done("moved", context.effect(f"push {name}", push, probe))

    return Step(f"push-{name}", f"{name} pushed", run, str, preview=preview, after=(plan,))


def announce(context: Context) -> Done[str]:
    at = datetime.fromisoformat(context.keep("date", lambda: context.clock.now().isoformat()))
    mail = Mail(MESSAGE_ID.format(run=context.run.id), SENDER, (LIST,), "A small release", "It is out.\n", at)

    def send() -> str:
        context.ports.mailer.send(mail)
        return mail.message_id

    def probe() -> Proof[str]:
        match context.ports.mailer.sent(mail.message_id):
            case Sent.YES:
                return Happened(mail.message_id)
            case Sent.NO:
                return NotHappened()
            case Sent.CANNOT_TELL:
                raise OutcomeUnknown("there is no archive to look into")

    return Done("sent", context.effect("mail", send, probe))


def rest(context: Context) -> Done[str] | Wait:
    if context.memory is None:
        until = context.clock.now() + REST
        return Wait(until, "people may comment", until.isoformat())
    until = datetime.fromisoformat(str(context.memory))
    return Done("nobody held it", "ok") if context.clock.cautious_now() >= until else Wait(until, "still", str(until))


def build(context: Context) -> Done[BuildRef] | Wait:
    """Start one build and follow it to its end."""
    parameters = {PARAMETER: f"run-{context.run.id}"}
    ci = context.ports.ci

    def probe() -> Proof[int]:
        """The queue before the builds, and both again: something may be on its way from one to the other."""
        for _ in range(2):
            for item in ci.look().queued:
                if item.job == JOB and item.parameters == parameters:
                    return Happened(item.item_id)
            if ours := _ours(context, parameters):
                return Happened(ours.queue_id)
        return NotHappened()

    context.effect("start the build", lambda: ci.trigger(JOB, parameters), probe)
    ours = _ours(context, parameters)
    if ours is None or ours.building:
        return Wait(context.clock.now() + LOOK_AGAIN, "the build is not done")
    if ours.result is not BuildResult.SUCCESS:
        raise PermanentError(f"{ours.ref} ended as {ours.result}")
    return Done(f"{ours.ref} passed", ours.ref)


def _ours(context: Context, parameters: dict[str, str]) -> Build | None:
    return next((one for one in context.ports.ci.builds(JOB) if one.parameters == parameters), None)


def report(context: Context) -> Done[str]:
    context.say("done", Notice("The small release is out"))
    context.forget(LOCK, "production")
    return Done("told", "ok")


SMALL = Procedure(
    "small",
    plan,
    Gate("go", "Move the branches"),
    *(push_step(name) for name in REPOSITORIES),
    Step("announce", "Announced", announce, str),
    Step("rest", "Time for comments", rest, str),
    Gate("accept", "Build it"),
    Step("build", "Built", build, BuildRef, preview=lambda _context: Preview({"job": JOB}, (f"start {JOB}",))),
    Step("report", "Reported", report, str),
    title="Small release",
)


@command("small start", role="operator")
def small_start(call: Call) -> Outcome:
    """Start the small release."""
    return call.start(SMALL)


@command("small hello", role=EVERYBODY)
def small_hello(_call: Call) -> Outcome:
    """Answer, and do nothing."""
    return Outcome(Notice("hello there"))


def commands() -> Registry:
    found = Registry()
    found.add(sys.modules[__name__])
    return found
