"""The runs of a component's playbook: named before they begin, so that a later life of the bot finds their record."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from kcibot.sdk import BrokenOff, Context, Deployment, KcibotError, OutcomeUnknown, PermanentError, TransientError

RUNS = "deployments"
"""Topic: the run that each step began last."""
NO_ANSWER = ""
CUT_OFF = "deployment-cut-off"
"""Topic: components whose playbook broke off in the middle, and that nothing was seen to restart since."""


def play(context: Context, component: str, run: Deployment, configuration: str) -> Sequence[str]:
    """Run the playbook to its end; the handlers that ran. BrokenOff if it ended in the middle."""
    named = replace(run, ident=_new_name(context, component, configuration))
    try:
        return context.ports.deployer.deploy(named, context.report, context.cancellation).handlers
    except OutcomeUnknown as error:
        raise _broken_off(context, component, error) from error


def played(context: Context, component: str) -> str | None:
    """The configuration that the step's last run of the playbook ended well with; waited for if it still runs.

    None if it certainly had no effect. Raises BrokenOff if it ended in the middle, OutcomeUnknown if it is not to be
    believed.
    """
    last = _last_run(context, component)
    if not last:
        return None
    try:
        result = context.ports.deployer.outcome(last["ident"], context.report, context.cancellation)
    except (TransientError, PermanentError):
        return None
    except OutcomeUnknown as error:
        raise _broken_off(context, component, error) from error
    if result is None:
        return None
    believe(context, component, result.handlers)
    return last["configuration"]


def broke_off(context: Context, component: str) -> bool:
    """Whether its last playbook ended in the middle: then even the right version is no proof that all was done."""
    return component in context.recall(CUT_OFF)


def running(context: Context, component: str) -> str:
    """The version that answers now, for people; empty if nothing does."""
    try:
        return context.ports.results.version(component)
    except KcibotError:
        return NO_ANSWER


def believe(context: Context, component: str, handlers: Sequence[str]) -> None:
    """A run that ended well and restarted nothing is not believed after one that broke off: OutcomeUnknown.

    What the other one changed is no change any more, so that Ansible has no reason to restart what uses it.
    """
    if handlers:
        context.forget(CUT_OFF, component)
    elif broke_off(context, component):
        raise OutcomeUnknown(
            f"the playbook ended well but restarted nothing, and one before it broke off: services of {component} "
            "may run the old code. Restart them by hand, then skip this step"
        )


def _broken_off(context: Context, component: str, error: OutcomeUnknown) -> BrokenOff:
    """Remembered beyond the run, and said with what answers now."""
    context.remember(CUT_OFF, component, str(error))
    answers = running(context, component)
    state = f"{component} answers version {answers}" if answers else f"{component} does not answer"
    return BrokenOff(f"{error} Production is half-way: {state}. A retry runs the whole playbook again.")


def _new_name(context: Context, component: str, configuration: str) -> str:
    """A name for the run that begins now, remembered before it does.

    The time is part of it: numbers of runs come again when a backup is restored, and then mean other runs.
    """
    key = _key(context, component)
    number = int(_last_run(context, component).get("number", "0")) + 1
    ident = f"{key}-{number}-{context.clock.now():%Y%m%dT%H%M%S%f}"
    context.remember(RUNS, key, {"ident": ident, "configuration": configuration, "number": str(number)})
    return ident


def _last_run(context: Context, component: str) -> Mapping[str, str]:
    """What was begun last in this round of the step; empty if nothing was."""
    return context.recall(RUNS).get(_key(context, component), {})  # type: ignore[return-value]  # see `_new_name`


def _key(context: Context, component: str) -> str:
    step = context.run.current
    return f"{context.run.id}-{step.id}-{step.round}-{component}" if step else f"{context.run.id}-{component}"
