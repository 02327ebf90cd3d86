"""The runs of a component's playbook: named before they begin, so that a later life of the bot finds their record."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from kcibot.sdk import (
    BrokenOff,
    Context,
    Deployment,
    DeployResult,
    KcibotError,
    OutcomeUnknown,
    PermanentError,
    TransientError,
)

RUNS = "deployments"
"""Topic: the run that each step began last."""
NO_ANSWER = ""
CUT_OFF = "deployment-cut-off"
"""Topic: components whose playbook broke off in the middle, and of which nobody saw since that all was done."""


@dataclass(frozen=True)
class Begun:
    """A run of a playbook, the how many-eth of its step. `restarted`: whether handlers ran, known after its end."""

    ident: str = ""
    configuration: str = ""
    number: int = 0
    restarted: bool = False


def play(context: Context, component: str, run: Deployment, configuration: str) -> None:
    """Run the playbook to its end. BrokenOff if it ended in the middle."""
    named = replace(run, ident=_new_name(context, component, configuration))
    try:
        result = context.ports.deployer.deploy(named, context.report, context.cancellation)
    except OutcomeUnknown as error:
        raise _broken_off(context, component, error) from error
    _ended_well(context, component, result)


def played(context: Context, component: str) -> str | None:
    """The configuration that the step's last run of the playbook ended well with; waited for if it still runs.

    None if it certainly had no effect. Raises BrokenOff if it ended in the middle.
    """
    last = last_run(context, component)
    if not last.ident:
        return None
    try:
        result = context.ports.deployer.outcome(last.ident, context.report, context.cancellation)
    except (TransientError, PermanentError):
        return None
    except OutcomeUnknown as error:
        raise _broken_off(context, component, error) from error
    if result is None:
        return None
    _ended_well(context, component, result)
    return last.configuration


def last_run(context: Context, component: str) -> Begun:
    """What was begun last in this round of the step; without a name if nothing was."""
    found = context.recall(RUNS).get(_key(context, component))
    if not isinstance(found, Mapping):
        return Begun()
    number, restarted = int(str(found["number"])), bool(found.get("restarted"))
    return Begun(str(found["ident"]), str(found["configuration"]), number, restarted)


def broke_off(context: Context, component: str) -> bool:
    """Whether its last playbook ended in the middle: then even the right version is no proof that all was done."""
    found = context.recall(CUT_OFF).get(component)
    return found is not None and not (isinstance(found, Mapping) and found.get("told"))


def mended(context: Context, component: str) -> None:
    """A playbook ended well since, and every service was started anew."""
    context.forget(CUT_OFF, component)


def believe(context: Context, component: str) -> None:
    """For a component whose services are not configured: one that restarted nothing is not believed after a break.

    What the other one changed is no change any more, so that Ansible has no reason to restart what uses it. It is said
    once, by OutcomeUnknown; after that people have looked at it.
    """
    if broke_off(context, component) and not last_run(context, component).restarted:
        why = (
            f"the playbook ended well but restarted nothing, and one before it broke off: services of {component} "
            "may run the old code. Restart them by hand, then retry. Those that are named under "
            f"deploy.playbooks.{component}.services I restart myself"
        )
        context.remember(CUT_OFF, component, {"why": why, "told": True})
        raise OutcomeUnknown(why)
    mended(context, component)


def running(context: Context, component: str) -> str:
    """The version that answers now, for people; empty if nothing does."""
    try:
        return context.ports.results.version(component)
    except KcibotError:
        return NO_ANSWER


def _ended_well(context: Context, component: str, result: DeployResult) -> None:
    last = last_run(context, component)
    _remember(context, component, replace(last, restarted=bool(result.handlers)))


def _broken_off(context: Context, component: str, error: OutcomeUnknown) -> BrokenOff:
    """Remembered beyond the run, and said with what answers now."""
    context.remember(CUT_OFF, component, {"why": str(error)})
    answers = running(context, component)
    state = f"{component} answers version {answers}" if answers else f"{component} does not answer"
    return BrokenOff(f"{error} Production is half-way: {state}. A retry runs the whole playbook again.")


def _new_name(context: Context, component: str, configuration: str) -> str:
    """A name for the run that begins now, remembered before it does.

    The time is part of it: numbers of runs come again when a backup is restored, and then mean other runs.
    """
    number = last_run(context, component).number + 1
    ident = f"{_key(context, component)}-{number}-{context.clock.now():%Y%m%dT%H%M%S%f}"
    _remember(context, component, Begun(ident, configuration, number))
    return ident


def _remember(context: Context, component: str, run: Begun) -> None:
    fields = {"ident": run.ident, "configuration": run.configuration, "number": run.number, "restarted": run.restarted}
    context.remember(RUNS, _key(context, component), fields)


def _key(context: Context, component: str) -> str:
    step = context.run.current
    return f"{context.run.id}-{step.id}-{step.round}-{component}" if step else f"{context.run.id}-{component}"
