"""A restart of Jenkins loses the timer of a pipeline job: put the configured one back, after people said so."""

from kcibot.sdk import Context, Done, GateRequest, Needed, Preview, Step, listed
from kcibot_commands.jobs.compare import about
from kcibot_commands.jobs.write import put, seen_before
from kcibot_commands.monitor.flags import MonitorSettings, cron_problem
from kcibot_commands.monitor.steps import resume_monitor
from kcibot_commands.rules.job_definitions import timer_specs, with_timer


def restore_needed(context: Context) -> Needed:
    """A configuration without a timer says nothing about what it should be."""
    settings = context.settings(MonitorSettings)
    if not settings.cron:
        return Needed(needed=False, why="no timer is configured under monitor.cron")
    problem = cron_problem(_live(context), context)
    return Needed(bool(problem), "" if problem else f"{settings.job} has its timer, {settings.cron}")


def restore_asks(context: Context) -> GateRequest:
    settings = context.settings(MonitorSettings)
    with about(settings.job):
        now = timer_specs(_live(context))
    facts = {"job": settings.job, "timer": settings.cron, "instead of": list(now)}
    line = f"{settings.job}: timer {settings.cron}, instead of {listed(list(now)) or 'none'}"
    return GateRequest("timer", "Restore the monitor's timer", Preview(facts, (line,)))


def restore(context: Context) -> Done[str]:
    """Write the definition that is live, with the timer in it and nothing else changed, and see that it is there."""
    settings = context.settings(MonitorSettings)
    before = seen_before(context, settings.job)

    def wanted(now: str) -> str:
        """Made of what is live at the moment of writing: a text that was stored has lost the bot's secrets."""
        with about(settings.job):
            return with_timer(now, settings.cron)

    put(context, settings.job, wanted, before)
    return Done(f"{settings.job} starts by {settings.cron} again", settings.cron)


def _live(context: Context) -> str:
    return context.ports.ci.definition(context.settings(MonitorSettings).job)


restore_timer = Step(
    "restore-timer",
    "Monitor's timer restored",
    restore,
    str,
    needed=restore_needed,
    asks=restore_asks,
    after=(resume_monitor,),
)
