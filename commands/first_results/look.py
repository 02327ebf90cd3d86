"""One look at what the monitor built since a release: Jenkins says what there is, the results API what it is worth."""

from collections.abc import Iterable
from dataclasses import replace

from kcibot.sdk import (
    Build,
    BuildRef,
    BuildResult,
    KcibotError,
    Level,
    Notice,
    PermanentError,
    RevisionStatus,
    Standing,
    TransientError,
    Watcher,
)
from kcibot_commands.first_results import state
from kcibot_commands.first_results.state import USUAL, Followed, Watched, begun
from kcibot_commands.first_results.steps import FEW, RECENT, FirstResultsSettings, config_of, storm
from kcibot_commands.monitor.flags import MonitorSettings
from kcibot_commands.pipecleaner.configs import PipecleanerSettings
from kcibot_commands.plan.steps import ReleaseSettings
from kcibot_commands.rules.build_configs import BuildConfig, resolve
from kcibot_commands.rules.first_results import Share, kernel_reasons, lab_reasons, too_many
from kcibot_commands.rules.problem import Problem

MONITORS = 20
AT_A_TIME = 3
"""Of so many revisions a look asks the results API; the others have their turn at the next."""
KNOWN = 20
MOST = 4096
BUILT = frozenset({RevisionStatus.PASS, RevisionStatus.FAIL})
NORMAL_ENDS = frozenset({BuildResult.SUCCESS.value, BuildResult.UNSTABLE.value})
Said = tuple[tuple[str, Notice], ...]
"""What people are told beside the one message that is edited, by the end of its key."""


def looked_at(watcher: Watcher, one: Watched) -> tuple[Watched, Said]:
    """What could be seen now; the rest stays as it was, and why is said."""
    said: Said = ()
    try:
        one, said = _jenkins(watcher, one)
    except KcibotError as error:
        one = replace(one, trouble=f"Jenkins cannot be seen: {error}")
    return _results(watcher, one), said


# ---- Jenkins ---------------------------------------------------------------------------------------------------


def _jenkins(watcher: Watcher, one: Watched) -> tuple[Watched, Said]:
    """Two requests, and one more while the revision of a trigger is not known; none of them grows with the builds."""
    ci, settings = watcher.ports.ci, watcher.settings(MonitorSettings)
    runs = [build for build in ci.builds(settings.job, MONITORS) if build.ref.number >= one.first]
    triggers = {build.ref.number: build for build in ci.builds(settings.trigger_job, RECENT)}
    one = _with_new(one, settings.job, triggers.values())
    for each in one.open:
        build = triggers.get(each.trigger)
        if build and not build.building and build.result:
            one = one.with_one(replace(each, result=build.result.value))
    return _told(watcher, _named(watcher, one), runs)


def _with_new(one: Watched, job: str, triggers: Iterable[Build]) -> Watched:
    """Triggers that the monitor started since, oldest first; what came after the watch's time is not followed."""
    known = {each.trigger for each in one.followed}
    new = [
        begun(build, config_of(build), build.upstream)
        for build in sorted(triggers, key=lambda each: each.ref.number)
        if build.upstream and build.ref.number not in known and _is_ours(build.upstream, job, one.first)
        if build.started < one.until
    ]
    return replace(one, followed=(*one.followed, *new))


def _is_ours(upstream: BuildRef, job: str, first: int) -> bool:
    return upstream.job == job and upstream.number >= first


def _named(watcher: Watcher, one: Watched) -> Watched:
    """Kernel builds tell how the results API calls the revision of their trigger."""
    nameless = [each for each in one.open if not each.kernel]
    if not nameless:
        return one
    job, trigger_job = watcher.settings(PipecleanerSettings).kernel_job, watcher.settings(MonitorSettings).trigger_job
    builds = watcher.ports.ci.builds(job, one.newest)
    parents = [(build, build.upstream) for build in builds if build.upstream]
    by_trigger = {parent.number: build for build, parent in parents if parent.job == trigger_job}
    for each in nameless:
        found = by_trigger.get(each.trigger)
        one = one.with_one(_revision_of(watcher, each, found) if found else _without_kernels(each))
    if len(builds) >= one.newest and builds[-1].started >= min(each.started for each in nameless):
        one = replace(one, newest=min(MOST, 2 * one.newest))  # there may be more of them than were asked for
    return one


def _revision_of(watcher: Watcher, one: Followed, build: Build) -> Followed:
    """Since May 2019 kernel builds are told their build config, and neither tree nor branch."""
    given = build.parameters
    tree, branch = given.get("TREE_NAME", ""), given.get("BRANCH", "")
    if not tree or not branch:
        config = _config(watcher, one.config)
        tree, branch = tree or config.tree, branch or config.branch
    return replace(one, tree=tree, branch=branch, kernel=given.get("GIT_DESCRIBE", ""))


def _config(watcher: Watcher, name: str) -> BuildConfig:
    """As production has it."""
    settings = watcher.settings(PipecleanerSettings)
    git, production = (
        watcher.ports.git.remote(settings.component),
        watcher.settings(ReleaseSettings).components[settings.component].production,
    )
    git.fetch()
    document = git.document(git.branches().get(production, production), settings.build_configs)
    found = resolve(document if isinstance(document, dict) else {}, name)
    if isinstance(found, Problem):
        raise PermanentError(found.text)
    return found


def _without_kernels(one: Followed) -> Followed:
    if not one.result or one.result in NORMAL_ENDS:
        return one
    return replace(one, settled=True, trouble=f"its trigger ended as {one.result} and built nothing that was seen")


def _told(watcher: Watcher, one: Watched, runs: list[Build]) -> tuple[Watched, Said]:
    """Builds of the monitor that failed, or started nearly everything; each is told of once."""
    said: list[tuple[str, Notice]] = []
    share = watcher.settings(FirstResultsSettings).at_once
    for build in runs:
        number, started = build.ref.number, sum(each.monitor == build.ref.number for each in one.followed)
        if number in one.bad:
            continue
        if too_many(started, one.configs, share, FEW):
            said.append((f"storm {number}", storm(number, started, one.configs, one.mentions)))
        elif not build.building and build.result is not BuildResult.SUCCESS:
            said.append((f"monitor {number}", _monitor_failed(build, one.mentions)))
    numbers = tuple(int(name.split()[1]) for name, _notice in said)
    return replace(one, bad=(*one.bad, *numbers)), tuple(said)


def _monitor_failed(build: Build, mentions: tuple[str, ...]) -> Notice:
    result = build.result.value if build.result else "nothing"
    lines = ("It ran by itself after the release. What it did not look at is not built.", build.url)
    return Notice(f"{build.ref} ended as {result}", Level.ALERT, lines, mentions=mentions)


# ---- results ---------------------------------------------------------------------------------------------------


def _results(watcher: Watcher, one: Watched) -> Watched:
    """Ask about those first that were not asked about for longest. An API that is down is asked once."""
    named = [each for each in one.open if each.revision and _worth_asking(watcher, each)]
    named.sort(key=lambda each: each.seen or one.began)
    for each in named[:AT_A_TIME]:
        try:
            now = _judged(watcher, one, each)
        except TransientError as error:
            one = replace(one, trouble=" ".join(filter(None, (one.trouble, f"No results can be seen: {error}"))))
            break
        except KcibotError as error:
            now = replace(each, seen=watcher.now, trouble=f"its results cannot be seen: {error}")
        one = one.with_one(now)
        if now.built != each.built:
            break  # what it was compared with took requests enough for one look
    if watcher.now >= one.latest:
        one = replace(one, followed=tuple(map(_given_up, one.followed)))
    return one


def _worth_asking(watcher: Watcher, one: Followed) -> bool:
    """The labs are counted once, when their time is over."""
    return one.built is None or watcher.now >= one.built + watcher.settings(FirstResultsSettings).labs_after


def _judged(watcher: Watcher, watched: Watched, one: Followed) -> Followed:
    """How that revision stands; its kernels are compared when all are built, its labs some time later."""
    settings, results = watcher.settings(FirstResultsSettings), watcher.ports.results
    if one.revision is None:
        return one
    standing = results.standing(one.revision)
    one = replace(one, now=_share(one.kernel, standing), seen=watcher.now, trouble="")
    if standing.status not in BUILT:
        return _unfinished(one, standing)
    if one.built is None:
        before = _before(watcher, watched, one)
        reasons = kernel_reasons(one.now, before, settings.limits)
        one = replace(one, built=watcher.now, before=before, reasons=reasons)
    if watcher.now < (one.built or watcher.now) + settings.labs_after:
        return one
    kernels = kernel_reasons(one.now, one.before, settings.limits)
    return replace(one, settled=True, reasons=(*kernels, *lab_reasons(one.now, one.before)))


def _share(kernel: str, standing: Standing) -> Share:
    labs = tuple(sorted(lab for lab, plans in standing.plans.items() if plans))
    return Share(kernel, sum(standing.kernels.values()), standing.kernels.get(RevisionStatus.PASS.value, 0), labs)


def _unfinished(one: Followed, standing: Standing) -> Followed:
    """Nothing more can come of a revision whose trigger was cut off, as by a restart of Jenkins."""
    said = standing.status.value if standing.status else "nothing"
    if one.result and one.result not in NORMAL_ENDS:
        return replace(one, settled=True, trouble=f"its trigger ended as {one.result}, the results API says {said}")
    return replace(one, trouble=f"the results API still says {said}" if one.result else "")


def _given_up(one: Followed) -> Followed:
    if one.settled:
        return one
    why = "its builds were done too late to wait for its labs" if one.built else "it did not come to its end in time"
    return replace(one, settled=True, trouble=one.trouble or why)


def _before(watcher: Watcher, watched: Watched, one: Followed) -> tuple[Share, ...]:
    """The newest revisions of that branch from before the release, as the results API has them, else as I had."""
    revision, most = one.revision, watcher.settings(FirstResultsSettings).history
    if revision is None:
        return ()
    results = watcher.ports.results
    known = [
        each.revision
        for each in results.revisions(revision.tree, revision.branch, KNOWN)
        if each.status in BUILT and each.created < watched.began and each.revision != revision
    ][:most]
    found = [share for each in known if (share := _share(each.kernel, results.standing(each))).kernels]
    names = {share.kernel for share in found} | {revision.kernel}
    mine = [share for share in reversed(usual(watcher, one)) if share.kernel not in names]
    return (*found, *mine)[:most]


def usual(watcher: Watcher, one: Followed) -> tuple[Share, ...]:
    return state.usual_rows(watcher.recall(USUAL).get(f"{one.tree}/{one.branch}"))
