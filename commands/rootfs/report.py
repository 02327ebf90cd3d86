"""Step 8, the end: what failed is reported once, as an issue where there is a tracker, by mail where there is none.

A pair of name and architecture that failed last week, too, is not reported again; one that was built in between is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypedDict

from kcibot.sdk import (
    Context,
    Done,
    GateRequest,
    Happened,
    IssueTracker,
    Mail,
    Needed,
    NotHappened,
    Preview,
    Proof,
    Step,
    digest,
    listed,
)
from kcibot_commands.announce.mail import AnnounceSettings, delivered
from kcibot_commands.plan.steps import ReleaseSettings
from kcibot_commands.rootfs.builds import RootfsBuild
from kcibot_commands.rootfs.moving import ROOTFS_GATE, gated, update_rootfs_urls
from kcibot_commands.rootfs.orders import development_head
from kcibot_commands.rootfs.push import built_here, decided
from kcibot_commands.rootfs.settings import RootfsSettings
from kcibot_commands.rules.rootfs_moves import Outcome

REPORTED = "rootfs reported"
"""`name architecture` -> the version whose failure was reported, and where. Forgotten when it is built again."""
ONCE = "kcibot reports this once, and again only after a build in between succeeded."


@dataclass(frozen=True)
class Failure:
    """What was not built of a name, or has no files: architecture -> a line with the reason and the log."""

    name: str
    version: str
    lines: Mapping[str, str]

    @property
    def archs(self) -> str:
        return listed(sorted(self.lines))

    @property
    def title(self) -> str:
        return f"rootfs {self.name} failed for {self.archs} ({self.version})"

    @property
    def marker(self) -> str:
        """A line by which the issue is found again."""
        return f"kcibot: rootfs {self.name} {' '.join(sorted(self.lines))} {self.version}"

    @property
    def text(self) -> str:
        rows = "\n".join(f"- {arch}: {line}" for arch, line in self.lines.items())
        return f"{self.name} keeps the version that is in use, since {self.version} failed:\n\n{rows}"


@dataclass(frozen=True)
class Reported:
    """Where the failures of this round are: addresses of issues, or the Message-ID of the mail."""

    places: tuple[str, ...]


# ---- what is to be reported ------------------------------------------------------------------------------------


def failures(context: Context, built: RootfsBuild) -> tuple[Failure, ...]:
    """All of this round, by name."""
    found: dict[str, dict[str, str]] = {}
    for row in built.results:
        if row.outcome is not Outcome.BUILT:
            found.setdefault(row.name, {})[row.arch] = f"{row.outcome}{f', {row.log}' if row.log else ''}"
    _text, decision = decided(context, built, development_head(context))
    for kept in decision.kept:
        for row in kept.failed:
            reasons = [reason for reason in kept.reasons if f"/{row.arch}/" in reason]
            found.setdefault(row.name, {}).setdefault(row.arch, "; ".join(reasons) or str(row.outcome))
    return tuple(Failure(name, built.version, lines) for name, lines in found.items())


def _fresh(context: Context, every: tuple[Failure, ...]) -> tuple[Failure, ...]:
    """Without the pairs that were reported before."""
    known = context.recall(REPORTED)
    left = [
        Failure(one.name, one.version, {a: line for a, line in one.lines.items() if f"{one.name} {a}" not in known})
        for one in every
    ]
    return tuple(one for one in left if one.lines)


def _recovered(context: Context, built: RootfsBuild, every: tuple[Failure, ...]) -> tuple[str, ...]:
    failed = {f"{one.name} {arch}" for one in every for arch in one.lines}
    good = {f"{row.name} {row.arch}" for row in built.results} - failed
    return tuple(sorted(good & set(context.recall(REPORTED))))


# ---- the step --------------------------------------------------------------------------------------------------


def needed(context: Context) -> Needed:
    built = built_here(context)
    if built is None:
        return Needed(needed=False, why="no root file systems were built here")
    every = failures(context, built)
    if _recovered(context, built, every):
        return Needed(needed=True)
    if not every:
        return Needed(needed=False, why="nothing failed")
    fresh = _fresh(context, every)
    if not fresh:
        return Needed(needed=False, why=f"{_known(every)}, which failed before, was reported then")
    told = context.ports.tracker is not None or context.settings(RootfsSettings).report_to
    return Needed(bool(told), "" if told else "neither services.tracker nor rootfs.report_to says where")


def _known(every: tuple[Failure, ...]) -> str:
    return listed([f"{one.name} {arch}" for one in every for arch in one.lines])


def preview(context: Context) -> Preview:
    """Without facts where the step asks for itself, as the step before it does."""
    shown = _shown(context)
    return Preview(shown.facts if gated(context.run) else {}, shown.display)


def asks(context: Context) -> GateRequest | None:
    shown = _shown(context)
    return None if gated(context.run) or not shown.facts else GateRequest(ROOTFS_GATE.id, "Report what failed", shown)


def _shown(context: Context) -> Preview:
    built = built_here(context)
    fresh = _fresh(context, failures(context, built)) if built else ()
    if not fresh or not (context.ports.tracker or context.settings(RootfsSettings).report_to):
        return Preview()
    facts = {"to": list(_to(context)), "reports": {one.name: digest([one.title, one.text]) for one in fresh}}
    head = "open an issue each" if context.ports.tracker else f"send a mail to {', '.join(_to(context))}"
    lines = [line for one in fresh for line in (one.title, *(f"  {row}" for row in one.text.splitlines() if row))]
    return Preview(facts, (head, *lines))


def _to(context: Context) -> tuple[str, ...]:
    return ("issue tracker",) if context.ports.tracker else context.settings(RootfsSettings).report_to


def report(context: Context) -> Done[Reported]:
    kept = context.keep("reports", lambda: _kept(context))
    fresh = tuple(Failure(one["name"], one["version"], one["lines"]) for one in kept["fresh"])
    tracker = context.ports.tracker
    places = [_filed(context, tracker, one) for one in fresh] if tracker else _mailed(context, fresh)
    for pair in kept["recovered"]:
        context.forget(REPORTED, pair)
    told = [f"{listed([one.name for one in fresh])}: {listed(places)}"] if places else []
    again = [f"{listed(kept['recovered'])} can be built again"] if kept["recovered"] else []
    return Done("; ".join((*told, *again)) or "nothing new failed", Reported(tuple(places)))


class _Fresh(TypedDict):
    """A failure as JSON."""

    name: str
    version: str
    lines: dict[str, str]


class _Kept(TypedDict):
    """What is reported, as JSON, fixed before anything is sent; and the pairs that need no report any more."""

    fresh: list[_Fresh]
    recovered: list[str]


def _kept(context: Context) -> _Kept:
    built = built_here(context)
    if built is None:
        return {"fresh": [], "recovered": []}
    every = failures(context, built)
    fresh: list[_Fresh] = [
        {"name": one.name, "version": one.version, "lines": dict(one.lines)} for one in _fresh(context, every)
    ]
    return {"fresh": fresh, "recovered": list(_recovered(context, built, every))}


def _remember(context: Context, one: Failure, place: str) -> None:
    for arch in one.lines:
        context.remember(REPORTED, f"{one.name} {arch}", {"version": one.version, "place": place})


def _filed(context: Context, tracker: IssueTracker, one: Failure) -> str:
    """An issue, found again by its marker if the answer was lost."""

    def probe() -> Proof[str]:
        url = tracker.find_issue(one.marker, context.run.created_at)
        return Happened(url) if url else NotHappened()

    text = f"{one.text}\n\n{ONCE}\n\n{one.marker}\n"
    url = context.effect(f"report {one.name} {one.version}", lambda: tracker.open_issue(one.title, text), probe)
    _remember(context, one, url)
    return url


def _mailed(context: Context, fresh: tuple[Failure, ...]) -> list[str]:
    """One mail about all of them, whose Message-ID is this round's own."""
    recipients = context.settings(RootfsSettings).report_to
    if not fresh or not recipients:
        return []
    what = [context.run.id, context.run.created_at.isoformat(), [one.marker for one in fresh]]
    domain = context.settings(ReleaseSettings).message_domain
    message_id = f"<rootfs.{fresh[0].version}.{digest(what)[:12]}@{domain}>"
    delivered(context, message_id, lambda at: context.ports.mailer.send(_mail(context, message_id, fresh, at)))
    for one in fresh:
        _remember(context, one, message_id)
    return [f"mail to {', '.join(recipients)}"]


def _mail(context: Context, message_id: str, fresh: tuple[Failure, ...], at: datetime) -> Mail:
    subject = f"Root file systems that failed: {listed([one.name for one in fresh])} ({fresh[0].version})"
    text = "\n\n".join([*(one.text for one in fresh), ONCE])
    sender, recipients = context.settings(AnnounceSettings).sender, context.settings(RootfsSettings).report_to
    return Mail(message_id, sender, recipients, subject, f"{text}\n", at)


report_failures = Step(
    "report-rootfs",
    "Failed root file systems reported",
    report,
    Reported,
    needed=needed,
    preview=preview,
    asks=asks,
    after=(update_rootfs_urls,),
    limit=timedelta(days=2),
)
