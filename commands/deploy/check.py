"""`!deploy check`: what a deployment would change on the machines, as Ansible's --check --diff tells, and nothing done.

It is made when somebody asks for it, kept with the records of deployments for 30 days, and not computed again for a
gate: what it shows is the state of machines, which moves, and never a fact that people vote on.
"""

from dataclasses import replace

from kcibot.sdk import (
    Call,
    Context,
    DeployResult,
    Done,
    Outcome,
    OutcomeUnknown,
    Procedure,
    Step,
    TransientError,
    command,
)
from kcibot_commands.deploy.settings import CHECKS, configuration_of, deployment
from kcibot_commands.deploy.steps import Deployable, DeployArgs, wanted_revision
from kcibot_commands.plan.steps import SHORT

LINES = 40
"""Of differences, in the channel; all of them are in the file."""


def check(context: Context) -> Done[None]:
    """Run the playbook as a check, with the playbooks that a deployment would have now."""
    component, wanted = context.args(DeployArgs).component, context.result(wanted_revision)
    playbook, run = deployment(context, component, wanted.commit)
    configuration = configuration_of(context, playbook)
    context.ports.git.remote(playbook.repository).checkout(configuration, run.folder)
    now = context.clock.now()
    named = replace(run, check=True, ident=f"check-{context.run.id}-{component}-{now:%Y%m%dT%H%M%S%f}")
    argv = context.ports.deployer.command(named)
    try:
        result = context.ports.deployer.deploy(named, context.report, context.cancellation)
    except OutcomeUnknown as error:
        raise TransientError(f"the check was broken off; it changes nothing: {error}") from error
    counted = f"would change {result.changed} of {result.ok} tasks"
    found = {"commit": wanted.commit, "configuration": configuration, "text": f"{counted}, {now:%d %b %H:%M} UTC"}
    context.remember(CHECKS, component, {**found, "output": result.output})
    lines = [
        f"{component} {wanted.version}: a deployment now {counted}",
        " ".join(argv),
        f"with {playbook.repository} at {configuration[:SHORT]}",
        *_differences(result),
        "Tasks that run commands are not covered by a check: they were passed over.",
        f"All that Ansible said is kept for 30 days in {result.output}",
    ]
    return Done("\n".join(lines), None)


def _differences(result: DeployResult) -> list[str]:
    lines = [line for text in result.differences for line in text.splitlines()]
    more = [f"... and {len(lines) - LINES} more lines"] if len(lines) > LINES else []
    return [*lines[:LINES], *more] or ["No task shows a difference."]


CHECK = Procedure(
    "deploy check",
    wanted_revision,
    Step("check", "Deployment checked", check, type(None), after=(wanted_revision,)),
    card=False,
)


@command("deploy check", role="operator", example="!deploy check backend 2021.5.0")
def deploy_check(call: Call, component: Deployable, revision: str = "") -> Outcome:
    """Show what a deployment would change, without changing anything; like deploy, the production branch by default."""
    title = f"Check of {component.value} {revision}".strip()
    return call.start(CHECK, title, DeployArgs(component.value, revision))
