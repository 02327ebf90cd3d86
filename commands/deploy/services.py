"""The end of a deployment: every service was started anew, and the worker takes tasks; what was not, the bot restarts.

Ansible notifies handlers of changes only. A playbook that broke off, or a checkout that somebody made by hand, leaves
nothing to notify them of the next time, and the old code goes on running.
"""

import math
from collections.abc import Sequence

from kcibot.sdk import Answer, Context, Deployment, Happened, NotHappened, OutcomeUnknown, PermanentError, Proof, listed
from kcibot_commands.deploy.settings import SERVICE, DeploySettings, Playbook
from kcibot_commands.playbook_runs import last_run
from kcibot_commands.production import still_locked

LOOK_AGAIN_SECONDS = 2.0


def restart_the_rest(context: Context, component: str, playbook: Playbook, run: Deployment) -> tuple[str, ...]:
    """Restart every service that was not started after the last playbook began; their names.

    Raises OutcomeUnknown if one does not run even then. `run` has a checkout of the playbooks.
    """
    number = last_run(context, component).number
    # Kept, so that a life that comes after a kill settles each of the restarts that were begun.
    found = context.keep(
        f"what playbook {number} of {component} left", lambda: _not_anew(context, component, playbook, run)
    )
    restarted = tuple(found)
    for service in restarted:
        _restart(context, component, playbook, run, service)
    left = _not_anew(context, component, playbook, run) if restarted else []
    if left:
        raise OutcomeUnknown(
            f"the playbook ended well and I restarted {listed(left)}, but on {playbook.limit} what ran before still "
            "runs, or nothing does. Look at it there, then retry"
        )
    return restarted


def see_worker(context: Context, component: str, playbook: Playbook, run: Deployment) -> str:
    """What is to be said about the component's worker: nothing, if it was seen to take tasks or if there is none.

    Raises OutcomeUnknown if it takes none.
    """
    settings = context.settings(DeploySettings)
    if component == settings.queue_of:
        if not context.ports.results.queue_alive():
            raise OutcomeUnknown(f"{component} runs, but its worker does not take tasks: {_WHAT_NOW}")
        return ""
    if playbook.worker_probe:
        _ask_worker(context, component, playbook, run)
        return ""
    return f"whether {playbook.worker} takes tasks was not checked" if playbook.worker else ""


_WHAT_NOW = "celery may hang. Restart it, then retry"


def _ask_worker(context: Context, component: str, playbook: Playbook, run: Deployment) -> None:
    """A worker that was just started may take a while to answer."""
    patience = context.settings(DeploySettings).answers_within.total_seconds()
    for left in reversed(range(int(patience / LOOK_AGAIN_SECONDS) + 1)):
        silent = [one for one in _ask(context, run, [playbook.worker_probe], "") if one.code != 0]
        if not silent:
            return
        context.report(f"{playbook.worker or 'the worker'} does not answer yet, looking again")
        if left and context.cancellation.wait(LOOK_AGAIN_SECONDS):
            break
    worker = playbook.worker or "its worker"
    said = f"{silent[0].host}: {silent[0].text.rstrip('.')}"
    raise OutcomeUnknown(f"{component} runs, but {worker} does not take tasks ({said}): {_WHAT_NOW}")


# ---- services --------------------------------------------------------------------------------------------------


def _not_anew(context: Context, component: str, playbook: Playbook, run: Deployment) -> list[str]:
    """The services that have been running on some machine since before the last playbook, or do not run."""
    if not playbook.services:
        return []
    asked = {_about(playbook.running_for, service): service for service in playbook.services}
    answers = _ask(context, run, list(asked), last_run(context, component).ident)
    old = {asked[one.command] for one in answers if one.code != 0 or _seconds(one) > one.elapsed}
    return [service for service in playbook.services if service in old]


def _seconds(answer: Answer) -> float:
    said = answer.text.split()[:1]
    try:
        seconds = float(said[0]) if said else math.nan
    except ValueError:
        seconds = math.nan
    if math.isfinite(seconds) and seconds >= 0:
        return seconds
    raise PermanentError(
        f"deploy.playbooks: running_for is to print for how many seconds a service has been running, but on "
        f"{answer.host} it printed {answer.text.strip()[:60] or 'nothing'}"
    )


def _restart(context: Context, component: str, playbook: Playbook, run: Deployment, service: str) -> None:
    command = _about(playbook.restart, service)

    def restart() -> bool:
        still_locked(context)
        context.ports.deployer.act(run, [command], context.report, context.cancellation)
        return True

    def probe() -> Proof[bool]:
        left = _not_anew(context, component, playbook, run)
        return NotHappened() if service in left else Happened(True)  # noqa: FBT003 (the value that `restart` returns)

    number = last_run(context, component).number
    context.effect(f"restart {service}, which playbook {number} of {component} did not", restart, probe)


def _about(template: tuple[str, ...], service: str) -> tuple[str, ...]:
    return tuple(word.replace(SERVICE, service) for word in template)


def _ask(context: Context, run: Deployment, commands: Sequence[tuple[str, ...]], since: str) -> tuple[Answer, ...]:
    return context.ports.deployer.ask(run, commands, context.cancellation, since)
