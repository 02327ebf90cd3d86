"""Step 9: the release that a pipe cleaner is built on: the newest that is known to build and pass in production.

Recent, so that it supports all hardware; known to pass, so that what fails is not the kernel's own fault.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Self

from kcibot.sdk import (
    Context,
    KnownRevision,
    PermanentError,
    RevisionStatus,
    TransientError,
    listed,
)
from kcibot_commands.pipecleaner.configs import AUTO, BaseRule, PipecleanerSettings, Proven, reduced_warning
from kcibot_commands.rules.build_configs import BuildConfig
from kcibot_commands.rules.kernel_releases import PASS, KernelRelease, enough, releases
from kcibot_commands.rules.problem import worded

LOOKED_AT = 10
"""Releases of one series that are asked about: an older one knows too little of the hardware."""
SERIES_LOOKED_AT = 6
KNOWN = 50
"""Revisions of a branch that the results API is asked for at once."""
TOLD = 3
NOT_ASKED = "the newest release; whether it passed was not asked, as configured"


@dataclass(frozen=True)
class Base:
    """The chosen release and the commit that it is; why it was taken, and why newer ones were not."""

    name: str
    series: str
    commit: str
    why: str
    skipped: tuple[str, ...] = ()

    @property
    def json(self) -> Mapping[str, object]:
        return {**asdict(self), "skipped": list(self.skipped)}

    @classmethod
    def read(cls, value: Mapping[str, object]) -> Self:
        skipped = value["skipped"]
        texts = {name: str(text) for name, text in value.items() if name != "skipped"}
        return cls(**texts, skipped=tuple(map(str, skipped)) if isinstance(skipped, list) else ())


def chosen(context: Context, repository: str, tags: Mapping[str, str]) -> Base:
    """The release to build on, out of the repository's tags (name -> commit), as configured.

    Raises PermanentError if there is none, TransientError while nobody can see which release passed: what was not seen
    to pass is never taken for it.
    """
    settings = context.settings(PipecleanerSettings)
    every = releases(tags)
    wanted = every if settings.series == AUTO else {one: every[one] for one in every if one == settings.series}
    if not wanted:
        series = "" if settings.series == AUTO else f" of the series {settings.series}"
        raise PermanentError(
            f"{repository} has no release{series}: push the release tags there, or configure another pipecleaner.series"
        )
    if settings.base is BaseRule.NEWEST:
        newest = next(iter(wanted.values()))[0]
        return Base(newest.name, newest.series, tags[newest.name], NOT_ASKED)
    return _proven(context, wanted, tags)


def _proven(context: Context, wanted: Mapping[str, tuple[KernelRelease, ...]], tags: Mapping[str, str]) -> Base:
    proven = context.settings(PipecleanerSettings).proven
    skipped: list[str] = []
    for series, found in list(wanted.items())[:SERIES_LOOKED_AT]:
        branch = proven.branch.replace("{series}", series)
        known = _known(context, proven.tree, branch)
        for release in found[:LOOKED_AT]:
            passed, why = _standing(context, known.get(release.name), proven)
            if passed:
                why = f"{why} of {proven.tree} {branch}"
                return Base(release.name, series, tags[release.name], why, tuple(skipped))
            skipped.append(f"{release.name} {why}")
    raise PermanentError(_none(list(wanted), skipped))


def _known(context: Context, tree: str, branch: str) -> Mapping[str, KnownRevision]:
    try:
        return {one.revision.kernel: one for one in reversed(context.ports.results.revisions(tree, branch, KNOWN))}
    except TransientError as error:
        raise TransientError(f"which release of {tree} {branch} passed last cannot be seen: {error}") from error


def _standing(context: Context, known: KnownRevision | None, proven: Proven) -> tuple[bool, str]:
    """Whether the release passed in production, and what is known of it, as a clause that follows its name."""
    if known is None:
        return False, "was not built in production"
    if known.status is RevisionStatus.BUILD:
        return False, "is being built"
    seen = context.ports.results.standing(known.revision)
    every, passed, labs = sum(seen.kernels.values()), seen.kernels.get(PASS, 0), len(seen.plans)
    counts = f"{passed} of {worded(every, 'kernel')}"
    if not enough(seen.kernels, proven.kernels):
        return False, f"passed only {counts}"
    if labs < proven.labs:
        return False, f"passed {counts}, but {worded(labs, 'lab')} tested it" if labs else f"passed {counts}, untested"
    return True, f"passed {counts} on {known.created:%Y-%m-%d}, tested by {worded(labs, 'lab')}, as a build"


def _none(series: list[str], skipped: list[str]) -> str:
    told = [*skipped[:TOLD], *([f"{len(skipped) - TOLD} older ones neither"] if len(skipped) > TOLD else [])]
    return (
        f"no release of the series {listed(series[:SERIES_LOOKED_AT])} is known to have passed in production: "
        f"{'; '.join(told)}. pipecleaner.proven says where and what is looked for; pipecleaner.base: newest takes the "
        "newest release without asking"
    )


def as_it_is(context: Context, config: BuildConfig) -> tuple[str, ...]:
    """What is told before the branch of somebody else's tree is built: it may have nothing new."""
    found = context.ports.results.revisions(config.tree, config.branch, 1)
    newest = found[0] if found else None
    known = (
        f"{newest.revision.kernel} of it was built on {newest.created:%Y-%m-%d} ({newest.status.value})"
        if newest
        else "the results API knows of no build of it"
    )
    told = (
        f"{config.branch} of the tree {config.tree} is not ours to push to and is built as it is; {known}, so that "
        "ALLOW_REBUILD is given: what is not new would not be built otherwise"
    )
    return (told, *reduced_warning(context, config))
