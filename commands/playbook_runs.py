"""The runs of a component's playbook: named before they begin, so that a later life of the bot finds their record."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from kcibot.sdk import Context, Deployment, OutcomeUnknown, PermanentError, TransientError

RUNS = "deployments"
"""Topic: the run that each step began last."""
CUT_OFF = "deployment-cut-off"
"""Topic: components whose playbook broke off in the middle, and that nothing was seen to restart since."""


def play(context: Context, component: str, run: Deployment, configuration: str) -> Sequence[str]:
    """Run the playbook to its end; the handlers that ran. Errors are those of `Deployer.deploy`."""
    named = replace(run, ident=_new_name(context, component, configuration))
    try:
        return context.ports.deployer.deploy(named, context.report, context.cancellation).handlers
    except OutcomeUnknown as error:
        context.remember(CUT_OFF, component, str(error))
        raise


def played(context: Context, component: str) -> str | None:
    """The configuration that the step's last run of the playbook ended well with; waited for if it still runs.

    None if it certainly had no effect. Raises OutcomeUnknown if it broke off, or is not to be believed.
    """
    last = _last_run(context, component)
    if not last:
        return None
    try:
        result = context.ports.deployer.outcome(last["ident"], context.report, context.cancellation)
    except (TransientError, PermanentError):
        return None
    except OutcomeUnknown as error:
        context.remember(CUT_OFF, component, str(error))
        raise
    if result is None:
        return None
    believe(context, component, result.handlers)
    return last["configuration"]


def believe(context: Context, component: str, handlers: Sequence[str]) -> None:
    """A run that ended well and restarted nothing is not believed after one that broke off: OutcomeUnknown.

    What the other one changed is no change any more, so that Ansible has no reason to restart what uses it.
    """
    if handlers:
        context.forget(CUT_OFF, component)
    elif component in context.recall(CUT_OFF):
        raise OutcomeUnknown(
            f"the playbook ended well but restarted nothing, and one before it broke off: services of {component} "
            "may run the old code. Restart them by hand, then skip this step"
        )


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
