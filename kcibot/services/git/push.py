"""One push, all or nothing, each reference by an explicit lease; and what git's answer to it means."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from kcibot.core.ports import RefUpdate
from kcibot.errors import OutcomeUnknown, PermanentError, TransientError
from kcibot.services.git.objects import Mirror
from kcibot.services.git.process import Finished, GitProcess, checked_sha
from kcibot.services.git.words import http_refusal, own, quoted, remote_lines, unreached, was_sent

REF_NAME = re.compile(r"refs/(?:heads|tags)/[A-Za-z0-9][A-Za-z0-9._/+-]*")
ACCEPTED_FLAGS = frozenset(" +*=")
LOST = "refs/kcibot/lost/"
"""Where the mirror keeps what a push takes off a branch, so that it can be brought back whatever the server forgets."""
LAG_SECONDS = (0.5, 1.5)
"""How long to wait for a server of many machines whose others do not show yet what one of them took."""

# The server's own check of the old value, made after our lease was seen to hold: somebody pushed in between.
_MOVED = ("stale info", "fetch first", "incorrect old value", "failed to update ref")
_FOLLOWING = ("atomic push failed", "atomic transaction failed", "atomic push failure")
_UNREPORTED = ("remote failure", "failed to report status")
_NO_ATOMIC = re.compile(r"does not support --atomic", re.IGNORECASE)
_PROTECTED = re.compile(r"non-fast-forward|force|protected", re.IGNORECASE)

Look = Callable[[], Mapping[str, str]]
"""Asks the server for every reference, by full name."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Git's word on one reference: a flag as in `git push --porcelain`, and a reason if it was refused."""

    ref: str
    flag: str
    reason: str


@dataclass(frozen=True, slots=True)
class Push:
    """What is to be pushed from which mirror to where. `look` is asked when git's own answer does not settle it."""

    mirror: Mirror
    url: str
    updates: tuple[RefUpdate, ...]
    look: Look

    @property
    def process(self) -> GitProcess:
        return self.mirror.process

    @property
    def name(self) -> str:
        return self.process.name


def push(order: Push) -> None:
    """Push, and wait a moment for a server that does not show it yet.

    What a branch loses by it stays in the mirror under `LOST`.
    """
    for update in order.updates:
        _check(update)
    if not order.updates:
        return
    forced = [update for update in order.updates if _takes_away(order.mirror, update)]
    for update in forced:
        order.mirror.git("update-ref", f"{LOST}{update.expected}", str(update.expected))
    _settle(order, _run(order), forced)
    _await(order)


def _run(order: Push) -> Finished:
    leases = [f"--force-with-lease={update.ref}:{update.expected or ''}" for update in order.updates]
    targets = [f"{update.new}:{update.ref}" for update in order.updates]
    arguments = ["push", "--atomic", "--porcelain", "--no-follow-tags", *leases, "--", order.url, *targets]
    return order.process.run(arguments, order.mirror.path, variables=order.process.login(order.url))


def _check(update: RefUpdate) -> None:
    name = update.ref
    if not REF_NAME.fullmatch(name) or ".." in name or "//" in name or name.endswith((".lock", "/", ".")):
        raise PermanentError(f"{name[:80]!r} is no reference that may be pushed; nothing was pushed.")
    checked_sha(update.new)
    if update.expected is not None:
        checked_sha(update.expected)


def _takes_away(mirror: Mirror, update: RefUpdate) -> bool:
    """Whether the branch would lose commits that the mirror has; of others nothing can be said or kept."""
    if update.expected is None or not update.ref.startswith("refs/heads/"):
        return False
    contained = ("merge-base", "--is-ancestor", update.expected, update.new)
    return mirror.process.run(contained, mirror.path).code == 1


def _await(order: Push) -> None:
    """A look that fails says nothing: the push was accepted."""
    for seconds in LAG_SECONDS:
        now = _seen(order)
        if now is None or _all_there(order, now):
            return
        time.sleep(seconds)


# ---- what git answered -----------------------------------------------------------------------------------------


def _settle(order: Push, finished: Finished, forced: Sequence[RefUpdate]) -> None:
    """Return if everything was pushed; else say what is known of it."""
    answers = _answers(finished.text)
    spoken = {update.ref for update in order.updates} <= answers.keys() and not _unreported(answers)
    if finished.code == 0 and spoken and all(answer.flag in ACCEPTED_FLAGS for answer in answers.values()):
        return
    if not finished.timed_out and spoken and any(answer.flag == "!" for answer in answers.values()):
        _refused(order, answers, finished.err, forced)
        return
    if not finished.timed_out and not _unreported(answers):
        _refuse_the_unsent(order, finished.err, answers)
    _settle_by_looking(order, finished)


def _answers(text: str) -> dict[str, Answer]:
    answers = {}
    for line in text.splitlines():
        parts = line.split("\t")
        if len(parts) == 3 and len(parts[0]) == 1 and ":" in parts[1]:  # noqa: PLR2004 (flag, references, summary)
            ref = parts[1].rpartition(":")[2]
            answers[ref] = Answer(ref, parts[0], parts[2])
    return answers


def _unreported(answers: Mapping[str, Answer]) -> bool:
    """Git has sent everything, and the server did not say what became of it: it may well have taken it."""
    return any(word in answer.reason for answer in answers.values() for word in _UNREPORTED)


def _refuse_the_unsent(order: Push, err: str, answers: Mapping[str, Answer]) -> None:
    """Raise if git's own words prove that the server never got the push."""
    if _NO_ATOMIC.search(err):
        raise PermanentError(f"{order.name}: the Git server cannot push all or nothing; nothing was pushed.")
    if not answers and unreached(err):
        raise order.process.connection_error(err, order.url)
    if refused := http_refusal(err):
        raise PermanentError(f"{order.name}: nothing was pushed. The Git server says that {refused}.")


def _settle_by_looking(order: Push, finished: Finished) -> None:
    """One look at the server. A push that is all there is done; one that may still arrive stays unknown."""
    name, updates = order.name, order.updates
    why = _why(finished)
    try:
        now = order.look()
    except (TransientError, PermanentError) as error:
        raise OutcomeUnknown(f"{name}: the push may or may not have arrived ({why}), and {error}") from error
    if _all_there(order, now):
        return
    places = ", ".join(f"{_short(update.ref)} is {_where(now.get(update.ref))}" for update in updates)
    at_rest = all(now.get(update.ref) == update.expected for update in updates)
    # A server that lost us may still be running its hooks; only git's own early failure proves that nothing was sent.
    if at_rest and _complained(finished) and not _answers(finished.text) and not was_sent(finished.err):
        raise TransientError(f"{name}: nothing was pushed: {why}")
    raise OutcomeUnknown(f"{name}: the push was cut off ({why}); now {places}.")


def _complained(finished: Finished) -> bool:
    """Whether git came to an end of its own and said why: one that was killed, or is silent, proves nothing."""
    return not finished.timed_out and finished.code > 0 and bool(own(finished.err).strip())


def _why(finished: Finished) -> str:
    if finished.timed_out:
        return "the time limit was reached"
    return "git was killed" if finished.code < 0 else quoted(finished.err)


# ---- refusals --------------------------------------------------------------------------------------------------


def _refused(order: Push, answers: Mapping[str, Answer], err: str, forced: Sequence[RefUpdate]) -> None:
    """Git named every reference, and at least one was refused: with `--atomic` none was changed.

    Return if all of it is there nevertheless. Over HTTP a push whose connection dies is sent again without a word, and
    then the server refuses the second, since the first has moved the branch.
    """
    if any(answer.flag in ACCEPTED_FLAGS - {"="} for answer in answers.values()):
        raise OutcomeUnknown(f"{order.name}: the Git server refused a part of the push only: {_reasons(answers)}.")
    now = _seen(order)
    if now is not None and _all_there(order, now):
        return
    said = "; ".join(remote_lines(err)) or "it gave no reason"
    suspects = [update for update in order.updates if _may_have_moved(answers[update.ref], err)]
    if suspects:
        raise _not_updated(order, suspects, now, said)
    text = f"{order.name}: nothing was pushed: {_reasons(answers)}. The Git server says: {said}"
    if forced and _PROTECTED.search(f"{_reasons(answers)} {said}"):
        text += f". {_protected(forced)}"
    raise PermanentError(text)


def _seen(order: Push) -> Mapping[str, str] | None:
    """Where the references are now; None if that cannot be seen."""
    try:
        return order.look()
    except (TransientError, PermanentError):
        return None


def _all_there(order: Push, now: Mapping[str, str]) -> bool:
    return all(now.get(update.ref) == update.new for update in order.updates)


def _protected(forced: Sequence[RefUpdate]) -> str:
    names = ", ".join(_short(update.ref) for update in forced)
    return (
        f"{names} would lose commits by this, which a protected branch does not let happen: let it be forced for the "
        "moment, on the Git server, or take the changes back by a new commit"
    )


def _may_have_moved(answer: Answer, err: str) -> bool:
    return any(word in answer.reason for word in _MOVED) or f"cannot lock ref '{answer.ref}'" in err


def _not_updated(
    order: Push, suspects: Sequence[RefUpdate], now: Mapping[str, str] | None, said: str
) -> PermanentError | TransientError | OutcomeUnknown:
    """Either somebody was faster, or the server could not write: where the references are tells which."""
    if now is None:
        names = ", ".join(_short(update.ref) for update in suspects)
        return OutcomeUnknown(f"{order.name}: {names} could not be updated, and cannot be seen now. It says: {said}")
    moved = [_moved_line(one, now.get(one.ref)) for one in suspects if now.get(one.ref) != one.expected]
    if moved:
        return PermanentError(f"{order.name}: nothing was pushed: {'; '.join(moved)}.")
    return TransientError(f"{order.name}: nothing was pushed: the Git server could not write it. It says: {said}")


def _moved_line(update: RefUpdate, now: str | None) -> str:
    if update.expected is None and update.ref.startswith("refs/tags/"):
        return f"the tag {_short(update.ref)} exists already ({_where(now)})"
    expected = "not to exist" if update.expected is None else f"at {update.expected[:12]}"
    return f"{_short(update.ref)} was expected {expected}, but it is {_where(now)}"


def _reasons(answers: Mapping[str, Answer]) -> str:
    refused = [answer for answer in answers.values() if answer.flag == "!"]
    telling = [answer for answer in refused if not any(word in answer.reason for word in _FOLLOWING)] or refused
    return ", ".join(f"{_short(answer.ref)} {answer.reason}" for answer in telling)


def _short(ref: str) -> str:
    return ref.removeprefix("refs/heads/").removeprefix("refs/tags/")


def _where(sha: str | None) -> str:
    return f"at {sha[:12]}" if sha else "not there"
