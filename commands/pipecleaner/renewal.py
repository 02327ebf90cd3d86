"""Kernels that people have built again while a pipe cleaner's acceptance is open: it is asked anew when they ended."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from kcibot.sdk import Change, Context, Done, Forget, Remember, Step
from kcibot_commands.pipecleaner.run import Cleaned, run_pipe_cleaner
from kcibot_commands.pipecleaner.state import FailedBuild
from kcibot_commands.rules.problem import worded

AGAIN = "pipecleaner-built-again"
"""Topic: run whose acceptance is open -> the run that builds kernels of it again, how many, and until when at most."""
ALONE = 0
"""The number of the run for which kernels are built again, where there is none that asks for acceptance."""


@dataclass(frozen=True)
class RetryArgs:
    """The pipe cleaner, which of its builds are done again, and the run in which its acceptance is open."""

    cleaned: Cleaned
    builds: tuple[FailedBuild, ...]
    parent: int = ALONE


def cleaned_of(context: Context) -> Cleaned:
    """The pipe cleaner that this run judges: its own, or the one of which it built kernels again."""
    if context.has_result(run_pipe_cleaner):
        return context.result(run_pipe_cleaner)
    return context.args(RetryArgs).cleaned


def begun(parent: int, run: int, kernels: int, until: datetime) -> Remember:
    """The comparison of `parent` waits for that run from now on."""
    return Remember(AGAIN, str(parent), {"run": run, "kernels": kernels, "until": until.isoformat()})


def waits_for(context: Context) -> str:
    """What the comparison of this run waits for, in words; empty if nothing is built again."""
    value = context.recall(AGAIN).get(str(context.run.id))
    if not isinstance(value, dict) or context.clock.now() >= datetime.fromisoformat(str(value["until"])):
        return ""
    kernels = worded(int(value["kernels"]), "kernel")
    return f"run {value['run']} builds {kernels} again; !pipecleaner compare judges without waiting for it"


def no_longer_awaited(recalled: Mapping[str, object], run: int) -> tuple[Change, ...]:
    """To be committed when that run is aborted: whoever waits for what it builds goes on without."""
    waiting = [parent for parent, value in recalled.items() if isinstance(value, dict) and value.get("run") == run]
    return tuple(Forget(AGAIN, parent) for parent in waiting)


def ask_anew(context: Context) -> Done[None]:
    """All is built again, or people went on without: the comparison need not wait any more."""
    parent = context.args(RetryArgs).parent
    context.forget(AGAIN, str(parent))
    return Done(f"run {parent} compares the results and asks anew", None)


ask_acceptance_anew = Step("ask-acceptance-anew", "Acceptance asked anew", ask_anew, type(None))
