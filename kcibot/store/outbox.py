"""Messages on their way out, read from the database; what was delivered is written in batches."""

import json
import threading
from collections import defaultdict
from typing import Any

from sqlalchemy import Row, Select, select

from kcibot.core.journal import Undelivered
from kcibot.core.message import MessageRef, Place
from kcibot.core.notice import URGENT, Notice
from kcibot.store import statements as sql
from kcibot.store.journal import SqlJournal
from kcibot.store.schema import outbox
from kcibot.store.writer import Unit, When
from kcibot.store.writes import OneRow


class SqlOutbox:
    """Fulfils `Outbox` over the journal's database and its one writer, and makes itself the journal's `on_say`."""

    def __init__(self, journal: SqlJournal) -> None:
        self._journal = journal
        self._delivered: dict[int, tuple[int, MessageRef]] = {}
        self._lock = threading.Lock()
        self._bells: defaultdict[str, threading.Event] = defaultdict(threading.Event)
        journal.on_say = self.ring

    def ring(self, network: str) -> None:
        """There may be something to send on that network."""
        self._bell(network).set()

    def wait(self, network: str, seconds: float) -> None:
        self._bell(network).wait(seconds)

    def undelivered(self, network: str, limit: int = 20) -> tuple[Undelivered, ...]:
        self._bell(network).clear()  # before the look: what is said after it rings again
        with self._lock:
            delivered = dict(self._delivered)  # before it, too: what leaves this list later is in the database by then
        with self._journal.snapshot() as connection:
            rows = connection.execute(_due(network, limit + len(delivered))).all()
        messages = [self._message(row, delivered.get(row.id)) for row in rows]
        return tuple(sorted((one for one in messages if one is not None), key=_rank)[:limit])

    def sending(self, message: Undelivered) -> None:
        self._journal.writer.put(Unit((OneRow(sql.SENDING, {"row": message.row}),))).wait()

    def sent(self, message: Undelivered, ref: MessageRef) -> None:
        mark = (message.version, ref)
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

    def _message(self, row: Row[Any], mark: tuple[int, MessageRef] | None) -> Undelivered | None:
        """The message as the row and a delivery not yet written have it; None if it needs nothing more."""
        version, ref = mark or (0, None)
        if version >= row.version:
            return None
        if ref is None and row.message_id is not None:
            ref = MessageRef(row.network, row.message_channel, row.message_id)
        return Undelivered(
            row=row.id,
            version=row.version,
            key=row.key,
            place=Place(row.network, row.channel),
            notice=self._journal.codec.load(Notice, json.loads(row.notice)),
            thread=row.thread,
            ref=ref,
            in_flight=row.in_flight and ref is None,
        )

    def _bell(self, network: str) -> threading.Event:
        with self._lock:
            return self._bells[network]


def _due(network: str, limit: int) -> Select[Any]:
    due = (outbox.c.network == network, outbox.c.delivered_version < outbox.c.version)
    order = (outbox.c.urgent.desc(), outbox.c.message_id.is_not(None), outbox.c.id)
    return select(outbox).where(*due).order_by(*order).limit(limit)


def _rank(message: Undelivered) -> tuple[bool, bool, int]:
    """The order of `_due`, by what is known now."""
    return (message.notice.level not in URGENT, message.ref is not None, message.row)
