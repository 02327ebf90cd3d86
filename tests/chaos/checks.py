"""What must be true of every release that was under fire, whatever it did: nothing twice, nothing lost."""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from kcibot.chat.room import Event, Room, RoomKind
from kcibot.store.audit import verify
from kcibot.store.database import Database

SPOKEN = {RoomKind.MESSAGE, RoomKind.REACTION, RoomKind.UNREACTION}


def database(folder: Path) -> Path:
    return folder / "state" / "kcibot.db"


def rows(folder: Path, query: str) -> list[tuple[Any, ...]]:
    """Read beside a living bot, or after it."""
    with closing(sqlite3.connect(database(folder), timeout=5)) as connection:
        return connection.execute(query).fetchall()


def at_rest(folder: Path) -> bool:
    """Everything that was heard is dealt with, and everything that was said is delivered."""
    unsettled = "SELECT count(*) FROM inbox WHERE NOT settled"
    undelivered = "SELECT count(*) FROM outbox WHERE delivered_version < version"
    heard = rows(folder, "SELECT count(*) FROM inbox")[0][0]
    spoken = sum(event.kind in SPOKEN for event in Room(folder / "room").read())
    return heard == spoken and rows(folder, unsettled) == rows(folder, undelivered) == [(0,)]


def story(folder: Path) -> list[str]:
    """Where its run stands, for somebody who has to find out why."""
    if not database(folder).exists():
        return []
    steps = rows(folder, "SELECT step_id, state, text FROM steps WHERE state NOT IN ('done', 'pending')")
    return [f"{step} is {state}: {text}" for step, state, text in steps]


def violations(folder: Path, earlier: int = 0) -> list[str]:
    """Of a run that is over, in sentences; `earlier` runs were aborted before it."""
    events = Room(folder / "room").read()
    return [
        *_room(events),
        *_outbox(folder, events),
        *_inbox(folder, events),
        *_run(folder, earlier),
        *_audit(folder),
    ]


def _room(events: list[Event]) -> Iterator[str]:
    posts = Counter((event.channel, event.key) for event in events if event.kind is RoomKind.POST)
    for (channel, key), count in posts.items():
        if count != 1:
            yield f"{key} was posted {count} times in {channel}"


def _outbox(folder: Path, events: list[Event]) -> Iterator[str]:
    """The room shows the newest text of everything that was said."""
    shown: dict[str, Any] = {}
    numbers = {event.key: event.number for event in events if event.kind is RoomKind.POST}
    for event in events:
        if event.kind in {RoomKind.POST, RoomKind.EDIT} and event.notice:
            shown[str(event.target or event.number)] = event.notice
    for key, message_id, text in rows(folder, "SELECT key, message_id, notice FROM outbox"):
        notice = json.loads(text)
        if str(numbers.get(key)) != message_id:
            yield f"{key} is message {numbers.get(key)} of the room, and {message_id} in the outbox"
        elif (shown[message_id].title, list(shown[message_id].lines)) != (notice["title"], notice["lines"]):
            yield f"the room shows “{shown[message_id].title}” under {key}, not “{notice['title']}”"


def _inbox(folder: Path, events: list[Event]) -> Iterator[str]:
    heard = Counter(rows(folder, "SELECT event_id, settled FROM inbox"))
    said = Counter((str(event.number), 1) for event in events if event.kind in SPOKEN)
    if heard != said:
        yield f"what was said and what was heard differ: {dict((heard - said) + (said - heard))}"
    replies = {event.key.rpartition(":")[2] for event in events if event.key.startswith("reply:")}
    for event in events:
        if event.kind is RoomKind.MESSAGE and event.text.endswith("hello") and str(event.number) not in replies:
            yield f"{event.speaker}'s “{event.text}” was not answered"


def _run(folder: Path, earlier: int) -> Iterator[str]:
    found = rows(folder, "SELECT id, title, aborted FROM runs ORDER BY id")
    if len(found) != earlier + 1:
        yield f"there are {len(found)} runs"
    yield from (f"{title} was not aborted" for _id, title, aborted in found[:earlier] if not aborted)
    run = found[-1][0]
    for step, state, text in rows(folder, f"SELECT step_id, state, text FROM steps WHERE run_id = {run}"):  # noqa: S608
        if state not in {"done", "not-needed"}:
            yield f"{step} is {state}: {text}"
    for step, key, state in rows(folder, f"SELECT step_id, key, state FROM effects WHERE run_id = {run}"):  # noqa: S608
        if state not in {"done", "seen"}:
            yield f"the effect “{key}” of {step} is {state}"
    for gate, count in rows(folder, "SELECT gate_id, count(*) FROM gates GROUP BY run_id, gate_id"):
        if count != 1:
            yield f"{gate} was asked {count} times"


def _audit(folder: Path) -> Iterator[str]:
    verdict = verify(Database(database(folder)))
    if not verdict.ok:
        yield verdict.problem
    entries = "SELECT who, what, subject, count(*) FROM audit GROUP BY who, what, subject HAVING count(*) > 1"
    for who, what, subject, count in rows(folder, entries):
        yield f"the audit has {count} times: {who} {what} {subject}"
