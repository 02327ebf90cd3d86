"""Messages on their way out, read from the database; what was delivered is written in batches."""

import queue
import threading
from collections import defaultdict
from collections.abc import Collection
from contextlib import suppress
from typing import NamedTuple

from kcibot.core.journal import Undelivered
from kcibot.core.message import MessageRef, Place
from kcibot.core.notice import URGENT, Notice
from kcibot.store import statements as sql
from kcibot.store.journal import SqlJournal
from kcibot.store.schema import outbox
from kcibot.store.writer import Unit, When
from kcibot.store.writes import ManyRows, Name, OneRow


class Due(NamedTuple):
    """A row of the outbox, as far as it is sent."""

    id: int
    version: int
    key: str
    network: str
    channel: str
    thread: str
    notice: str
    in_flight: int
    message_channel: str | None
    message_id: str | None


DUE = f"""
    SELECT {", ".join(Due._fields)} FROM {outbox.name} WHERE network = ? AND delivered_version < version {{}}
    ORDER BY urgent DESC, message_id IS NOT NULL, id LIMIT ?
"""  # noqa: S608 (no value is in it)


class Bell:
    """For one that waits. An Event costs several times as much, and this is rung for every message."""

    def __init__(self) -> None:
        self._rings: queue.SimpleQueue[None] = queue.SimpleQueue()

    def ring(self) -> None:
        if self._rings.empty():
            self._rings.put(None)

    def wait(self, seconds: float) -> None:
        with suppress(queue.Empty):
            self._rings.get(timeout=seconds)

    def clear(self) -> None:
        with suppress(queue.Empty):
            while True:
                self._rings.get_nowait()


class SqlOutbox:
    """Fulfils `Outbox` and `Claims` over the journal's database and its one writer.

    It makes itself the journal's `on_say` and `claims`.
    """

    def __init__(self, journal: SqlJournal) -> None:
        self._journal = journal
        self._delivered: dict[int, tuple[int, MessageRef]] = {}
        self._lock = threading.Lock()
        self._bells: defaultdict[str, Bell] = defaultdict(Bell)
        self._free: set[str] = set()
        self._begun: dict[str, Name] = {}
        journal.on_say = self.ring
        journal.claims = self

    def ring(self, network: str) -> None:
        """There may be something to send on that network."""
        self._bell(network).ring()

    def wait(self, network: str, seconds: float) -> None:
        with self._lock:
            self._free.add(network)
        self._bell(network).wait(seconds)

    def take(self, network: str, name: Name) -> bool:
        """The first message after the sender had nothing to do; until it is sent there is no other."""
        with self._lock:
            if network in self._free and network not in self._begun:
                self._free.discard(network)
                self._begun[network] = name
            return self._begun.get(network) == name

    def give_back(self, network: str, name: Name) -> None:
        with self._lock:
            if self._begun.get(network) == name:
                del self._begun[network]

    def undelivered(self, network: str, limit: int = 20, without: Collection[str] = ()) -> tuple[Undelivered, ...]:
        self._bell(network).clear()  # before the look: what is said after it rings again
        with self._lock:
            delivered = dict(self._delivered)  # before it, too: what leaves this list later is in the database by then
        with self._journal.glance() as cursor:
            found = cursor.execute(_due(without), (network, *without, limit + len(delivered))).fetchall()
            rows = map(Due._make, found)
        messages = [self._message(row, delivered.get(row.id)) for row in rows]
        return tuple(sorted((one for one in messages if one is not None), key=_rank)[:limit])

    def posted(self, key: str, place: Place) -> MessageRef | None:
        found = (ref for ref in self._journal.message_refs(key, place.network) if ref.channel == place.channel)
        return next(found, None)

    def sending(self, *messages: Undelivered) -> None:
        """In one transaction; what was recorded as begun when it was said needs none."""
        with self._lock:
            new = [one for one in messages if self._begun.get(one.place.network) != self._name(one)]
        for one in messages:
            self.give_back(one.place.network, self._name(one))
        if new:
            self._journal.writer.put(Unit((ManyRows(sql.SENDING, [{"row": one.row} for one in new]),))).wait()

    def _name(self, message: Undelivered) -> Name:
        return message.key, message.place.channel

    def sent(self, message: Undelivered, ref: MessageRef) -> None:
        mark = (message.version, ref)
        self.give_back(message.place.network, self._name(message))
        with self._lock:
            self._delivered[message.row] = mark

        def written(_result: int) -> None:
            with self._lock:
                if self._delivered.get(message.row) == mark:
                    del self._delivered[message.row]

        self._journal.writer.put(Unit((self._delivery(message, ref),), written, When.LATER))

    def _delivery(self, message: Undelivered, ref: MessageRef) -> OneRow:
        text = self._journal.cleaner.text
        values = {
            "row": message.row,
            "seen": message.version,
            "at_channel": text(ref.channel),
            "at_message": text(ref.message_id),
        }
        return OneRow(sql.SENT, values)

    def _message(self, row: Due, mark: tuple[int, MessageRef] | None) -> Undelivered | None:
        """The message as the row and a delivery not yet written have it; None if it needs nothing more."""
        version, ref = mark or (0, None)
        if version >= row.version:
            return None
        if ref is None and row.message_id is not None:
            ref = MessageRef(row.network, row.message_channel or row.channel, row.message_id)
        return Undelivered(
            row=row.id,
            version=row.version,
            key=row.key,
            place=Place(row.network, row.channel),
            notice=self._journal.codec.read(Notice, row.notice),
            thread=row.thread,
            ref=ref,
            in_flight=bool(row.in_flight) and ref is None and self._begun.get(row.network) != (row.key, row.channel),
        )

    def _bell(self, network: str) -> Bell:
        with self._lock:
            return self._bells[network]


def _rank(message: Undelivered) -> tuple[bool, bool, int]:
    """The order of `_due`, by what is known now."""
    return (message.notice.level not in URGENT, message.ref is not None, message.row)


def _due(without: Collection[str]) -> str:
    places = ", ".join("?" * len(without))
    return DUE.format(f"AND channel NOT IN ({places})" if without else "")
