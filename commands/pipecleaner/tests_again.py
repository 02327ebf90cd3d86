"""Step 9: a kernel that passed when it was built again is tested then. The trigger tests only what it built itself."""

from collections.abc import Mapping
from dataclasses import replace

from kcibot.sdk import Context, Level, NotFound, Notice, PermanentError, Wait
from kcibot_commands import starts
from kcibot_commands.pipecleaner.configs import PipecleanerSettings
from kcibot_commands.pipecleaner.record import SUCCESS
from kcibot_commands.pipecleaner.state import Following, Seen
from kcibot_commands.rules.problem import worded

NAME, NUMBER = "BUILD_JOB_NAME", "BUILD_JOB_NUMBER"
LAB = ".json"
"""The trigger has an artifact of this kind for each lab."""


def start_tests_again(context: Context, seen: Seen, state: Following) -> tuple[Following, Wait | None]:
    """Start the tests of what the bot built again, to be called when all is built; a wait until Jenkins runs them.

    They are sent to the labs that the trigger reached: it archives what it learnt of each, which its test runs need.
    """
    due = _untested(context, seen, state)
    common = _parameters(context, seen) if due else {}
    if not common:
        return state, None
    for number in due:
        state = _start(context, seen, {**common, NAME: seen.kernels.job, NUMBER: str(number)}, state)
    if set(due) <= _named(seen):
        return state, None
    until = context.clock.now() + context.settings(PipecleanerSettings).look
    return state, Wait(until, f"{worded(len(due), 'kernel')} that passed when built again tested", state.json)


def _parameters(context: Context, seen: Seen) -> Mapping[str, str]:
    """What its own test runs were started with; empty if it has none, or they are not told which build they test."""
    given = [seen.tests.parameters(one) for one in seen.tests.builds.values()]
    told = [one for one in given if one.get(NUMBER) and one.get("TRIGGER_JOB_NUMBER") == str(seen.trigger.ref.number)]
    if not told:
        return {}
    asked = {lab for one in told for lab in one.get("LABS", "").split()}
    return {**told[0], "LABS": " ".join(sorted(asked | _reached(context, seen)))}


def _reached(context: Context, seen: Seen) -> set[str]:
    def look() -> list[str]:
        found = context.ports.ci.build(seen.trigger.ref).artifacts
        return [path.rpartition("/")[2].removesuffix(LAB) for path in found if path.endswith(LAB)]

    try:
        return set(context.keep(f"labs of {seen.trigger.ref}", look))
    except NotFound:
        return set()


def _named(seen: Seen) -> set[int]:
    """The numbers of the builds that a test run names."""
    told = (seen.tests.parameters(one).get(NUMBER, "") for one in seen.tests.builds.values())
    return {int(number) for number in told if number.isdecimal()}


def _untested(context: Context, seen: Seen, state: Following) -> tuple[int, ...]:
    """The builds of ours that passed at last, and that no test run named when they were seen first.

    That is kept: a start of ours that a kill interrupted is settled, though its test run is there by now.
    """
    named = _named(seen)
    return tuple(
        one.number
        for key, one in seen.ended.items()
        if not one.child
        and one.queue_id in state.again.values()
        and one.result == SUCCESS
        and key not in seen.failed
        and one.number not in state.untested
        and _due(context, one.number, named)
    )


def _due(context: Context, number: int, named: set[int]) -> bool:
    return context.keep(f"tests of {number}", lambda: number not in named)


def _start(context: Context, seen: Seen, parameters: Mapping[str, str], state: Following) -> Following:
    """Start it as an effect. What Jenkins refuses or loses is said, and shows as boards without results."""
    start = starts.prepared(context, seen.tests.job, parameters)
    if start.disabled:
        return _untestable(context, seen, parameters, f"{start.job} is disabled on Jenkins", state)
    try:
        starts.build_of(context, start, starts.start(context, start))
    except PermanentError as error:
        return _untestable(context, seen, parameters, str(error), state)
    return state


def _untestable(context: Context, seen: Seen, parameters: Mapping[str, str], why: str, state: Following) -> Following:
    number = int(parameters[NUMBER])
    title = f"{seen.kernels.key(seen.kernels.builds[number])} passed when built again, and is not tested: {why}"
    context.say(f"untested {number}", Notice(title, Level.WARNING))
    return replace(state, untested=(*state.untested, number))
