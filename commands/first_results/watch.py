"""What the monitor builds in the hours after a release, compared with what was before, apart from any run.

All of it is remembered: a restart of the bot or of Jenkins in between changes nothing. What could not be seen is
unknown at the end, never "as before".
"""

from dataclasses import replace
from datetime import timedelta

from kcibot.sdk import (
    Call,
    Change,
    Forget,
    Level,
    Notice,
    Outcome,
    Remember,
    UserError,
    Watch,
    Watcher,
    command,
    span,
)
from kcibot_commands.first_results import state
from kcibot_commands.first_results.look import Said, looked_at, usual
from kcibot_commands.first_results.state import ENDED, USUAL, WATCHED, Followed, Watched, summed
from kcibot_commands.first_results.steps import PAUSE, FirstResultsSettings

EVERY = timedelta(minutes=1)
KEPT = 10
LINES = 20


def look(watcher: Watcher) -> tuple[Change, ...]:
    """A look at the newest release's watch, if its time has come. A newer release ends the watch of an older one."""
    recalled = watcher.recall(WATCHED)
    read = {key: Watched.read(value) for key, value in recalled.items()}
    watches = sorted((one for one in read.values() if one), key=lambda one: one.run)
    changes: list[Change] = [Forget(WATCHED, key) for key, one in read.items() if one is None]
    for old in watches[:-1]:
        changes += _end(watcher, replace(old, trouble="A newer release is watched now."))
    if watches and _due(watcher, watches[-1]):
        changes += _looked(watcher, watches[-1])
    return tuple(changes)


def _due(watcher: Watcher, one: Watched) -> bool:
    return one.looked is None or watcher.now >= one.looked + watcher.settings(FirstResultsSettings).look


def _looked(watcher: Watcher, before: Watched) -> tuple[Change, ...]:
    now, said = looked_at(watcher, replace(before, looked=watcher.now, trouble=""))
    fresh = [one for one in now.followed if one.settled and one not in before.followed]
    changes: list[Change] = [change for one in fresh for change in _kept(watcher, one)]
    for name, notice in (*said, *_news(before, now)):
        changes += watcher.say(f"first-results:{now.run}:{name}", notice)
    if _over(watcher, now):
        return (*changes, *_end(watcher, now))
    notice = progress(now)
    shown = "\n".join((notice.title, *notice.lines))
    if shown != now.shown:
        changes += watcher.say(f"first-results:{now.run}", notice)
    return (*changes, Remember(WATCHED, str(now.run), replace(now, shown=shown).json))


def _over(watcher: Watcher, one: Watched) -> bool:
    """After its time it goes on only for builds and labs that are not done, and not for ever."""
    if watcher.now < one.until:
        return False
    return (not one.open and not one.trouble) or watcher.now >= one.latest


# ---- what is kept


def _kept(watcher: Watcher, one: Followed) -> tuple[Change, ...]:
    """For the next release: the results API forgets, too."""
    if one.built is None:
        return ()
    rows = (*(share for share in usual(watcher, one) if share.kernel != one.kernel), one.now)[-KEPT:]
    return (Remember(USUAL, f"{one.tree}/{one.branch}", [state.share_row(share) for share in rows]),)


# ---- what is said ----------------------------------------------------------------------------------------------


def progress(one: Watched) -> Notice:
    """How it stands: one message, edited."""
    text = summed(one.followed) if one.followed else "nothing new was found so far"
    trouble = (one.trouble,) if one.trouble else ()
    lines = (*_lines(one), *trouble, f"Watched until {one.until:%a %d %b %H:%M} UTC.")
    return Notice(f"First results after {one.title}: {text}", Level.INFO, lines)


def _lines(one: Watched) -> tuple[str, ...]:
    """Those with news first."""
    quiet = {state.Outcome.SAME, state.Outcome.OPEN}
    rows = sorted(one.followed, key=lambda each: each.outcome in quiet)
    more = (f"and {len(rows) - LINES} more",) if len(rows) > LINES else ()
    return (*(each.line for each in rows[:LINES]), *more)


def _news(before: Watched, now: Watched) -> Said:
    """Revisions that turned out to be worse, or to lack a lab, since the last look."""
    was = {one.trigger: one.outcome for one in before.followed}
    said: list[tuple[str, Notice]] = []
    for one in now.followed:
        if one.outcome is was.get(one.trigger):
            continue
        if one.outcome is state.Outcome.WORSE:
            said.append((f"worse {one.trigger}", _worse(one, now)))
        elif one.outcome is state.Outcome.REMARKS:
            title = f"First results: {one.config} {one.kernel} has remarks"
            said.append((f"remarks {one.trigger}", Notice(title, Level.WARNING, _why(one))))
    return tuple(said)


def _worse(one: Followed, now: Watched) -> Notice:
    hint = "!monitor pause stops new builds, !release rollback undoes the release."
    title = f"First results after {now.title}: {one.config} {one.kernel} is worse than before"
    return Notice(title, Level.ALERT, (*_why(one), hint), buttons=(PAUSE,), mentions=now.mentions)


def _why(one: Followed) -> tuple[str, ...]:
    return (*(reason.text for reason in one.reasons), one.url)


def closing(one: Watched) -> Notice:
    """How it ended. What could not be seen at the end leaves everything open."""
    kinds = {each.outcome for each in one.followed}
    text = summed(one.followed) if one.followed else "the monitor started nothing"
    level = Level.SUCCESS
    if not one.followed or one.trouble or kinds & {state.Outcome.UNKNOWN, state.Outcome.OPEN, state.Outcome.REMARKS}:
        level = Level.WARNING
    if state.Outcome.WORSE in kinds:
        level = Level.ALERT
    elif kinds == {state.Outcome.NEW} and level is Level.SUCCESS:
        level = Level.INFO
    unseen = (f"At the end not all could be seen, so there may be more. {one.trouble}",) if one.trouble else ()
    mentions = one.mentions if level is Level.ALERT else ()
    title = f"First results after {one.title}: {text}{'; not all could be seen' if one.trouble else ''}"
    return Notice(title, level, (*_lines(one), *unseen), mentions=mentions)


def _end(watcher: Watcher, one: Watched) -> tuple[Change, ...]:
    """Say it once, and keep it for the release's record."""
    notice = closing(one)
    record = {"title": notice.title, "lines": list(notice.lines), "at": watcher.now.isoformat()}
    said = watcher.say(f"first-results:{one.run}:end", notice)
    return (Forget(WATCHED, str(one.run)), Remember(ENDED, str(one.run), record), *said)


FIRST_RESULTS = Watch("first results", EVERY, look)


# ---- the verb --------------------------------------------------------------------------------------------------


@command("release results", role="observer")
def release_results(call: Call) -> Outcome:
    """Say what the first results after the last release are worth so far, or how they were."""
    recall = call.world.journal.recall
    watches = [one for value in recall(WATCHED).values() if (one := Watched.read(value))]
    if watches:
        now = max(watches, key=lambda one: one.run)
        looked = f"; looked at {span(call.world.clock.now() - now.looked)} ago" if now.looked else ""
        notice = progress(now)
        return Outcome(replace(notice, title=f"{notice.title}{looked}"))
    ended = {int(key): value for key, value in recall(ENDED).items() if key.isdigit() and isinstance(value, dict)}
    if not ended:
        raise UserError("no release was followed to its first results yet")
    last = ended[max(ended)]
    return Outcome(Notice(str(last["title"]), lines=tuple(map(str, last["lines"]))))
