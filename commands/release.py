"""A release, as the wiki page had it: the procedure as one list, and the verbs that start it."""

from collections.abc import Mapping
from datetime import timedelta

from kcibot.sdk import (
    Call,
    Context,
    Done,
    Gate,
    KcibotError,
    Needed,
    Outcome,
    Preview,
    Procedure,
    Step,
    UserError,
    command,
)
from kcibot_commands.announce.steps import comment_window, send_announcement
from kcibot_commands.deploy.steps import deploy_backend, deploy_frontend
from kcibot_commands.drain import drain
from kcibot_commands.first_results.steps import watch_first_results
from kcibot_commands.images.verbs import build_images, push_images
from kcibot_commands.jenkins_restart import end_quieting, restart_jenkins
from kcibot_commands.jobs.checklist import about_notes
from kcibot_commands.jobs.steps import apply_job_definitions
from kcibot_commands.labs import drain_labs
from kcibot_commands.monitor.steps import abort_bisections, pause_monitor, resume_monitor, start_monitor_once
from kcibot_commands.monitor.timer import restore_timer
from kcibot_commands.pipecleaner.verbs import (
    about_results,
    accept_results,
    compare_results,
    prepare_pipe_cleaner,
    run_pipe_cleaner,
)
from kcibot_commands.plan.steps import overview, plan
from kcibot_commands.production import open_production, push_core, take_production_lock
from kcibot_commands.report.mail import send_report
from kcibot_commands.report.steps import report
from kcibot_commands.rollback.found import NAME as ROLLBACK
from kcibot_commands.rootfs.amend import amend_for_rootfs
from kcibot_commands.rootfs.builds import build_rootfs
from kcibot_commands.rootfs.moving import update_rootfs_urls
from kcibot_commands.rootfs.report import report_failures
from kcibot_commands.rootfs.review import request_review
from kcibot_commands.tags import create_tags


def amended(context: Context) -> Needed:
    again = context.run.revision > 1
    return Needed(again, "" if again else "this is the first revision")


def about_plan(context: Context) -> Preview:
    """The frozen revision: repository -> commit and tag."""
    frozen = context.result(plan)
    facts = {part.component: {"commit": part.release, "tag": part.tag} for part in frozen.parts.values()}
    return Preview(facts, overview(frozen).lines)


RELEASE = Procedure(
    "release",
    plan,
    Gate("amend", "New revision", about=about_plan, when=amended),
    Gate("prepare", "Make the tags"),
    create_tags,
    Gate("announce", "Send the announcement"),
    send_announcement,
    comment_window,
    Gate("go", "Update production", about=about_notes),
    take_production_lock,
    pause_monitor,
    abort_bisections,
    drain,
    drain_labs,
    restart_jenkins,
    end_quieting,
    push_core,
    apply_job_definitions,
    deploy_backend,
    deploy_frontend,
    build_images,
    Gate("images", "Push images, start the pipe cleaner"),
    push_images,
    build_rootfs,
    update_rootfs_urls,
    request_review,
    report_failures,
    amend_for_rootfs,
    prepare_pipe_cleaner,
    run_pipe_cleaner,
    compare_results,
    Gate("accept", "Accept the pipe cleaner's results", about=about_results),
    accept_results,
    resume_monitor,
    restore_timer,
    start_monitor_once,
    watch_first_results,
    open_production,
    report,
    send_report,
    title="Release",
)


ALONE = frozenset({RELEASE.name, ROLLBACK})
"""Procedures of which one at a time is under way."""


@command("release prepare", role="operator")
def release_prepare(call: Call) -> Outcome:
    """Start a release: freeze the plan, ask for approval, and go on step by step."""
    running = [run for run in call.world.journal.open_runs() if run.procedure in ALONE]
    if running:
        raise UserError(f"{running[0].title} is under way: !release status shows it, !release abort REASON ends it")
    return call.start(RELEASE, f"Release of {call.world.clock.now():%d %b %Y}")


# ---- all previews, read-only -----------------------------------------------------------------------------------

FOLLOWS: Mapping[str, Step[object]] = {
    push_images.id: build_images,
    update_rootfs_urls.id: build_rootfs,
    report_failures.id: build_rootfs,
    amend_for_rootfs.id: build_rootfs,
    resume_monitor.id: pause_monitor,
    watch_first_results.id: start_monitor_once,
}
"""Step -> the one that must have run before anybody can tell whether there is something to do."""


def show_previews(context: Context) -> Done[None]:
    """What every step of a release would do now, as far as it can be known beforehand."""
    lines = list(overview(context.result(plan)).lines)
    for item in RELEASE:
        if isinstance(item, Step) and item is not plan:
            lines += _previewed(item, context)
    return Done("\n".join(["A release now would do this", *lines]), None)


def _previewed(step: Step[object], context: Context) -> list[str]:
    """What that step would do and why; a server that cannot be seen now hides its own steps only."""
    try:
        needed, before = step.needed(context), FOLLOWS.get(step.id)
        if before and not needed.needed and before.needed(context).needed:
            return [f"{step.title}: known when “{before.title}” is done"]
        display = step.preview(context).display if needed.needed else ()
    except KcibotError as error:
        return [f"{step.title}: cannot be seen now: {error}"]
    if not needed.needed:
        return [f"{step.title}: not needed, {needed.why}"]
    why = f": {needed.why}" if needed.why else ":" if display else ""
    return [f"{step.title}{why}", *(f"  {line}" for line in display)]


PLAN = Procedure(
    "release plan",
    plan,
    Step("show", "Previews shown", show_previews, type(None), after=(plan,), limit=timedelta(hours=1)),
    card=False,
)


@command("release plan", role="observer")
def release_plan(call: Call) -> Outcome:
    """Show what a release would do now, step by step, without changing anything."""
    return call.start(PLAN)
