"""One push, all or nothing, each reference by an explicit lease; and what git's answer to it means."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kcibot.core.ports import RefUpdate
from kcibot.errors import OutcomeUnknown, PermanentError, TransientError
from kcibot.services.git_process import Finished, GitProcess, checked_sha, quoted, unreached

REF_NAME = re.compile(r"refs/(?:heads|tags)/[A-Za-z0-9][A-Za-z0-9._/+-]*")
ACCEPTED_FLAGS = frozenset(" +*=")

# The server's own check of the old value, made after our lease was seen to hold: somebody pushed in between.
_MOVED = ("stale info", "fetch first", "incorrect old value", "failed to update ref")
_FOLLOWING = ("atomic push failed", "atomic transaction failed", "atomic push failure")
_NO_ATOMIC = re.compile(r"does not support --atomic", re.IGNORECASE)

Look = Callable[[], Mapping[str, str]]
"""Asks the server for every reference, by full name."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Git's word on one reference: a flag as in `git push --porcelain`, and a reason if it was refused."""

    ref: str
    flag: str
    reason: str


def push(process: GitProcess, mirror: Path, url: str, updates: Sequence[RefUpdate], look: Look) -> None:
    """Push; `look` is called only if the outcome cannot be told from git's own answer."""
    for update in updates:
        _check(update)
    if not updates:
        return
    leases = [f"--force-with-lease={update.ref}:{update.expected or ''}" for update in updates]
    targets = [f"{update.new}:{update.ref}" for update in updates]
    arguments = ["push", "--atomic", "--porcelain", "--no-follow-tags", *leases, "--", url, *targets]
    finished = process.run(arguments, mirror, variables=process.login(url))
    _settle(process, url, updates, finished, look)


def _check(update: RefUpdate) -> None:
    name = update.ref
    if not REF_NAME.fullmatch(name) or ".." in name or "//" in name or name.endswith((".lock", "/", ".")):
        raise PermanentError(f"{name[:80]!r} is no reference that may be pushed; nothing was pushed.")
    checked_sha(update.new)
    if update.expected is not None:
        checked_sha(update.expected)


def _settle(process: GitProcess, url: str, updates: Sequence[RefUpdate], finished: Finished, look: Look) -> None:
    answers = _answers(finished.text)
    spoken = {update.ref for update in updates} <= answers.keys()
    if finished.code == 0 and spoken and all(answer.flag in ACCEPTED_FLAGS for answer in answers.values()):
        return
    if not finished.timed_out and spoken and any(answer.flag == "!" for answer in answers.values()):
        raise _refusal(process.name, updates, answers, finished.err, look)
    if not finished.timed_out and _NO_ATOMIC.search(finished.err):
        raise PermanentError(f"{process.name}: the Git server cannot push all or nothing; nothing was pushed.")
    if not finished.timed_out and not answers and unreached(finished.err) and "RPC failed" not in finished.err:
        raise process.connection_error(finished.err, url)
    _settle_by_looking(process.name, updates, finished, look)


def _answers(text: str) -> dict[str, Answer]:
    answers = {}
    for line in text.splitlines():
        parts = line.split("\t")
        if len(parts) == 3 and len(parts[0]) == 1 and ":" in parts[1]:  # noqa: PLR2004 (flag, references, summary)
            ref = parts[1].rpartition(":")[2]
            answers[ref] = Answer(ref, parts[0], parts[2])
    return answers


def _refusal(
    name: str, updates: Sequence[RefUpdate], answers: Mapping[str, Answer], err: str, look: Look
) -> PermanentError | OutcomeUnknown:
    """Git named every reference, and at least one was refused: with `--atomic` none was changed."""
    if any(answer.flag in ACCEPTED_FLAGS - {"="} for answer in answers.values()):
        return OutcomeUnknown(f"{name}: the Git server refused a part of the push only: {_reasons(answers)}.")
    moved = [update for update in updates if _is_moved(answers[update.ref], err)]
    if moved:
        return PermanentError(f"{name}: nothing was pushed: {'; '.join(_moved(moved, look))}.")
    said = "; ".join(_remote_lines(err)) or "it gave no reason"
    return PermanentError(f"{name}: nothing was pushed: {_reasons(answers)}. The Git server says: {said}")


def _is_moved(answer: Answer, err: str) -> bool:
    return any(word in answer.reason for word in _MOVED) or f"cannot lock ref '{answer.ref}'" in err


def _moved(updates: Sequence[RefUpdate], look: Look) -> list[str]:
    try:
        now = look()
    except (TransientError, PermanentError):
        return [f"{_short(update.ref)} is not where it was expected" for update in updates]
    return [_moved_line(update, now.get(update.ref)) for update in updates]


def _moved_line(update: RefUpdate, now: str | None) -> str:
    if update.expected is None and update.ref.startswith("refs/tags/"):
        return f"the tag {_short(update.ref)} exists already ({_where(now)})"
    expected = "not to exist" if update.expected is None else f"at {update.expected[:12]}"
    return f"{_short(update.ref)} was expected {expected}, but it is {_where(now)}"


def _settle_by_looking(name: str, updates: Sequence[RefUpdate], finished: Finished, look: Look) -> None:
    """One look at the server. A push that is all there is done; one that may still arrive stays unknown."""
    why = "the time limit was reached" if finished.timed_out else quoted(finished.err)
    try:
        now = look()
    except (TransientError, PermanentError) as error:
        raise OutcomeUnknown(f"{name}: the push may or may not have arrived ({why}), and {error}") from error
    if all(now.get(update.ref) == update.new for update in updates):
        return
    places = ", ".join(f"{_short(update.ref)} is {_where(now.get(update.ref))}" for update in updates)
    at_rest = all(now.get(update.ref) == update.expected for update in updates)
    # A server that lost us may still be running its hooks; only git's own early failure proves that nothing was sent.
    if at_rest and not finished.timed_out and not _answers(finished.text) and not _was_sent(finished.err):
        raise TransientError(f"{name}: nothing was pushed: {why}")
    raise OutcomeUnknown(f"{name}: the push was cut off ({why}); now {places}.")


def _was_sent(err: str) -> bool:
    words = ("hung up", "disconnect", "RPC failed", "early EOF", "Broken pipe", "Connection reset", "Writing objects")
    return any(word in err for word in words)


def _reasons(answers: Mapping[str, Answer]) -> str:
    refused = [answer for answer in answers.values() if answer.flag == "!"]
    telling = [answer for answer in refused if not any(word in answer.reason for word in _FOLLOWING)] or refused
    return ", ".join(f"{_short(answer.ref)} {answer.reason}" for answer in telling)


def _remote_lines(err: str) -> list[str]:
    """What the server's hooks said, without git's own advice."""
    lines = (line[len("remote:") :].strip() for line in err.splitlines() if line.startswith("remote:"))
    printable = ("".join(letter for letter in line if letter.isprintable())[:200] for line in lines if line)
    return list(dict.fromkeys(printable))[:4]


def _short(ref: str) -> str:
    return ref.removeprefix("refs/heads/").removeprefix("refs/tags/")


def _where(sha: str | None) -> str:
    return f"at {sha[:12]}" if sha else "not there"
