"""What the ending of a playbook means: a result, or one of the bot's errors, which say what may be done about it."""

import re
import shlex
from collections.abc import Sequence

from kcibot.core.ports import Answer, DeployResult
from kcibot.errors import Aborted, OutcomeUnknown, PermanentError, TransientError
from kcibot.services.ansible.command import task_number
from kcibot.services.ansible.events import cut
from kcibot.services.ansible.record import Ending

CUT_OFF = "Handlers may not have run: what they restart may run the old code, and another run need not restart it."
"""Ansible notifies handlers of changes, and the next run finds nothing to change."""

_NEVER_REACHED = re.compile(
    r"Failed to connect|Connection refused|timed out|Could not resolve|Name or service not known|No route to host"
    r"|Network is unreachable"
)
_NOT_LET_IN = re.compile(
    r"Permission denied|Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED|Too many authentication"
    r"|(Incorrect|Missing) \w+ password|privilege (escalation|elevation)|become password"
)


def answers_of(ending: Ending, commands: Sequence[tuple[str, ...]], since: float | None) -> tuple[Answer, ...]:
    """What commands that only looked brought; whatever kept one of them from an answer is raised."""
    if ending.status == "refused":
        raise PermanentError(f"{'; '.join(ending.messages)}; nothing was asked.")
    if ending.unreachable:
        said = f"Ansible could not reach {_unreached(ending)}. Nothing was changed."
        let_in = not any(_NOT_LET_IN.search(reason) for _host, reason in ending.unreachable)
        raise TransientError(said) if let_in else PermanentError(said)
    if ending.failures:
        raise PermanentError(f"The machines could not be asked: {cut('; '.join(ending.failures))}")
    if ending.status in {"not-begun", "lost", "canceled", "timeout"}:
        raise TransientError("The machines were asked, and gave no answer in time. Nothing was changed.")
    if ending.status != "successful" or not ending.finished or not ending.answers:
        raise PermanentError(f"Ansible asked nobody: {_complaint(ending.messages)}. Nothing was changed.")
    if left := _unanswered(ending, commands):
        raise TransientError(f"The machines were asked, and some did not answer: {left}. Nothing was changed.")
    return tuple(
        Answer(host, commands[task_number(task)], code, text, at - (since or at))
        for host, task, code, text, at in ending.answers
    )


def _unanswered(ending: Ending, commands: Sequence[tuple[str, ...]]) -> str:
    """Which machine answered one command and not another; empty if there is none. Silence is no good news."""
    answered = {(host, task_number(task)) for host, task, *_rest in ending.answers}
    hosts = sorted({host for host, _number in answered})
    return "; ".join(
        f"{host} to “{shlex.join(command)}”"
        for host in hosts
        for number, command in enumerate(commands)
        if (host, number) not in answered
    )


def result_of(ending: Ending, output: str = "") -> DeployResult:
    """The result of a playbook that ended well; whatever else it was is raised, as `Deployer.deploy` promises.

    `output` names the file with all that was said, which a failure names too.
    """
    try:
        return _result_of(ending, output)
    except (PermanentError, OutcomeUnknown) as error:
        where = f" All that Ansible said is in {output}." if output else ""
        raise type(error)(f"{error}{where}") from error


def _result_of(ending: Ending, output: str) -> DeployResult:
    if ending.status == "not-begun":
        raise Aborted("The deployment was stopped before it began; nothing was changed.")
    if ending.status == "refused":
        raise PermanentError(f"{'; '.join(ending.messages)}; nothing was started.")
    if ending.status == "lost":
        raise OutcomeUnknown(f"Ansible was lost while it ran; look at what is deployed. {CUT_OFF}")
    if ending.status in {"canceled", "timeout"}:
        raise _cut_off(ending)
    if ending.status == "successful" and ending.finished:
        if ending.processed == 0:
            raise PermanentError("Ansible ran no task at all: no host or no tag fits. Nothing was changed.")
        return DeployResult(ending.ok, ending.changed, ending.changes, ending.handlers, ending.differences, output)
    raise _failure(ending)


def _failure(ending: Ending) -> TransientError | PermanentError | OutcomeUnknown:
    if ending.failures:
        return _after(ending, f"The deployment failed: {cut('; '.join(ending.failures))}")
    if ending.unreachable:
        return _not_reached(ending)
    if ending.effects:
        return _after(ending, "Ansible ended without a result")
    return PermanentError(f"Ansible did not start: {_complaint(ending.messages)}. Nothing was changed.")


def _cut_off(ending: Ending) -> Aborted | OutcomeUnknown | PermanentError:
    stopped = ending.status == "canceled"
    how = "was stopped" if stopped else "took longer than its time limit and was killed"
    if ending.check:
        text = f"The check {how}; it changes nothing."
        return Aborted(text) if stopped else PermanentError(text)
    done = f" Changed so far: {', '.join(ending.changes)}." if ending.changes else ""
    return OutcomeUnknown(f"The deployment {how} in the middle; look at what is deployed.{done} {CUT_OFF}")


def _after(ending: Ending, what: str) -> PermanentError | OutcomeUnknown:
    if ending.check or not ending.effects:
        return PermanentError(f"{what}. No task before it had changed anything, as far as Ansible tells.")
    return OutcomeUnknown(f"{what}. Changed before: {', '.join(ending.changes) or 'a part of that task'}.")


def _not_reached(ending: Ending) -> TransientError | PermanentError | OutcomeUnknown:
    """A connection that was lost in a task looks the same as one that was never made, but for its words."""
    what = f"Ansible could not reach {_unreached(ending)}"
    if all(_NOT_LET_IN.search(reason) for _host, reason in ending.unreachable):
        return _after(ending, what)
    if not ending.effects and all(_NEVER_REACHED.search(reason) for _host, reason in ending.unreachable):
        return TransientError(f"{what}. Nothing was changed.")
    return _after(ending, what) if ending.check else OutcomeUnknown(f"{what}.")


def _unreached(ending: Ending) -> str:
    return cut("; ".join(f"{host}: {reason}" for host, reason in ending.unreachable)).rstrip(".")


def _complaint(messages: Sequence[str]) -> str:
    errors = [line for line in messages if "ERROR" in line.upper()]
    return cut(" ".join((errors or list(messages))[-3:]) or "it said nothing").rstrip(".")
