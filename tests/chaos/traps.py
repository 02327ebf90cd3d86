"""Wraps a bot from outside, before it starts, so that it passes a trap at every write and around every effect."""

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from random import Random
from typing import Any

from kcibot.app import Bot
from kcibot.chat.console import ConsoleChat
from kcibot.core.journal import (
    Audit,
    Change,
    Forget,
    Remember,
    SaveAsk,
    SaveEffect,
    SaveRun,
    SaveVote,
    Say,
    Settle,
    Undelivered,
)
from kcibot.core.message import Incoming, MessageRef, Place
from kcibot.core.notice import Notice
from kcibot.core.ports import Ports
from kcibot.core.run import Run
from tests.chaos.points import AFTER, BEFORE, DURING, TORN, Traps, stable

ACTS = {
    "ci": ("trigger", "enable", "disable", "cancel", "stop", "define", "quiet_down", "cancel_quiet_down", "restart"),
    "deployer": ("deploy", "act"),
    "images": ("build", "push", "retag"),
    "mailer": ("send",),
}
"""Methods that change the world, by port."""
GIT_ACTS = ("push", "fetch", "commit", "annotate", "cherry_pick", "checkout")
"""Of each repository; all but the first change the local mirror, which a killed bot must not leave unusable."""
LONGEST_DURING_SECONDS = 0.03
LONGEST_WORD = 60


def set_traps(bot: Bot, traps: Traps) -> None:
    """The bot must not have been started yet."""
    journal, outbox = bot._store.journal, bot._store.outbox
    _around(journal, "commit", traps, _of_changes)
    _around(journal, "submit", traps, lambda changes, *_refused: f"submit {_of_changes(changes)}")
    _around(journal, "new_run_id", traps, lambda: "commit a run's number")
    _around(journal, "accept", traps, lambda event: f"accept {_of_event(event)}")
    _around(outbox, "sending", traps, lambda *messages: f"commit sending {_of_message(messages[0])}")
    _around(outbox, "sent", traps, lambda message, _ref: f"submit sent {_of_message(message)}")
    _around_ports(bot.world.ports, traps)
    for adapter in bot._adapters:
        if isinstance(adapter, ConsoleChat):
            _around_chat(adapter, traps)


def _around_ports(ports: Ports, traps: Traps) -> None:
    acts = ((getattr(ports, port), port, name) for port, names in ACTS.items() for name in names)
    repositories = ((ports.git.remote(name), f"git {name}", act) for name in ports.git.names() for act in GIT_ACTS)
    for target, port, name in chain(acts, repositories):
        _around(target, name, traps, lambda *words, at=f"{port} {name}", **_named: f"{at}{_of_words(words)}", mid=True)


def _around(target: Any, name: str, traps: Traps, label: Callable[..., str], *, mid: bool = False) -> None:
    """Replace a method of one object by itself between two traps; with `mid` there is one a moment after it began."""
    method = getattr(target, name)

    def trapped(*words: Any, **named: Any) -> Any:
        where = label(*words, **named)
        traps.reach(where, BEFORE)
        if mid:
            traps.reach_soon(where, DURING, Random(where).uniform(0, LONGEST_DURING_SECONDS))  # noqa: S311
        result = method(*words, **named)
        traps.reach(where, AFTER)
        return result

    setattr(target, name, trapped)


# ---- chat ------------------------------------------------------------------------------------------------------


def _around_chat(adapter: ConsoleChat, traps: Traps) -> None:
    post = adapter.post

    def torn_post(place: Place, notice: Notice, key: str, thread: MessageRef | None = None) -> MessageRef:
        label = f"post {_of_key(key)}"
        if traps.is_armed(label, TORN):
            _write_half_a_line(adapter)
        traps.reach(label, TORN)
        return post(place, notice, key, thread)

    adapter.post = torn_post  # type: ignore[method-assign]
    _around(adapter, "post", traps, lambda _place, _notice, key, *_thread: f"post {_of_key(key)}")
    _around(adapter, "edit", traps, lambda _ref, notice: f"edit {stable(notice.title)}")


def _write_half_a_line(adapter: ConsoleChat) -> None:
    """As a writer leaves it that was killed in the middle."""
    with adapter._room.path.open("ab") as room:
        fcntl.flock(room.fileno(), fcntl.LOCK_EX)
        os.write(room.fileno(), b'{"number": 1000000, "at": "20')


# ---- labels ----------------------------------------------------------------------------------------------------


def _of_changes(changes: Sequence[Change]) -> str:
    parts = [part for change in changes for part in _of_change(change)]
    return f"commit {' + '.join(parts or (_of_aside(change) for change in changes))}"


def _of_change(change: Change) -> Iterator[str]:
    match change:
        case SaveRun(run):
            yield f"run at {_of_run(run)}"
        case SaveAsk(ask):
            yield f"asking {ask.gate_id} {ask.state.value}"
        case SaveVote(vote):
            yield f"vote of {vote.person} on {vote.gate_id}"
        case SaveEffect(effect):
            yield f"effect {effect.step_id} “{stable(effect.key)}” {effect.state.value}"
        case Settle(event):
            yield f"settled {_of_event(event)}"
        case Remember(topic, key) | Forget(topic, key):
            yield f"note {topic} {stable(key)}"


def _of_aside(change: Change) -> str:
    """What tells of a change, which names a commit only if there is nothing else in it."""
    match change:
        case Say(key):
            return f"said {_of_key(key)}"
        case Audit(what=what):
            return f"audit {what}"
        case _:
            return "nothing"


def _of_run(run: Run) -> str:
    if run.ended:
        return f"its end, {run.state.value}"
    return f"{run.current.id} {run.current.state.value}" if run.current else "its end"


def _of_event(event: Incoming) -> str:
    return f"{event.kind.value} “{stable(event.text)}” of {event.identity}"


def _of_message(message: Undelivered) -> str:
    return f"{_of_key(message.key)}, {stable(message.notice.title)}"


def _of_key(key: str) -> str:
    return stable(key)


def _of_words(words: tuple[Any, ...]) -> str:
    return "".join(f" {stable(word)[:LONGEST_WORD]}" for word in words if isinstance(word, str))
