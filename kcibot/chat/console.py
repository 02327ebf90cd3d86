"""The console chat network: the bot's side of a room that people visit in their terminals."""

import logging
import threading
from pathlib import Path

from kcibot.chat.room import Event, Room, RoomKind
from kcibot.core.message import EventKind, Incoming, MessageRef, Place
from kcibot.core.notice import Notice
from kcibot.core.ports import Inbox, Listener, Reaction
from kcibot.errors import KcibotError, NotFound, PermanentError

log = logging.getLogger(__name__)

BOT = "kcibot"
RETRY_SECONDS = 1.0
STOP_SECONDS = 5.0

_HEARD = {
    RoomKind.MESSAGE: EventKind.MESSAGE,
    RoomKind.REACTION: EventKind.REACTION_ADDED,
    RoomKind.UNREACTION: EventKind.REACTION_REMOVED,
}


class ConsoleChat:
    """A `ChatAdapter` on the room in `folder`. The room keeps everything, so that nothing is missed while away."""

    def __init__(self, folder: Path, network: str = "console", room: Room | None = None) -> None:
        self.network = network
        self._room = room or Room(folder)
        self._posts = _Posts(self._room)
        self._stop = threading.Event()
        self._listener: threading.Thread | None = None

    def start(self, listener: Listener) -> None:
        after = self._last_number(listener)
        self._stop = threading.Event()
        self._listener = threading.Thread(
            target=self._listen, args=(listener, after, self._stop), name=f"{self.network}-listener", daemon=True
        )
        self._listener.start()

    def stop(self) -> None:
        """Stop listening; no event is delivered after this returns, unless the inbox hangs."""
        self._stop.set()
        if self._listener and self._listener is not threading.current_thread():
            self._listener.join(STOP_SECONDS)

    def post(self, place: Place, notice: Notice, key: str, thread: MessageRef | None = None) -> MessageRef:
        self._check(place.network)
        event = self._room.append(RoomKind.POST, place.channel, BOT, notice=notice, key=key)
        return self._ref(event.channel, event.number)

    def edit(self, ref: MessageRef, notice: Notice) -> None:
        """Raises NotFound if the bot never posted that message."""
        self._check(ref.network)
        number = self._posts.number(ref)
        self._room.append(RoomKind.EDIT, ref.channel, BOT, target=number, notice=notice)

    def find(self, place: Place, key: str) -> MessageRef | None:
        self._check(place.network)
        number = self._posts.under(place.channel, key)
        return self._ref(place.channel, number) if number else None

    def reactions(self, ref: MessageRef) -> tuple[Reaction, ...] | None:
        """The room keeps every event, so that a reaction is delivered after the bot is back, and need not be asked."""
        return None

    def _check(self, network: str) -> None:
        if network != self.network:
            raise PermanentError(f"{network} is not the chat network {self.network}.")

    def _ref(self, channel: str, number: int) -> MessageRef:
        return MessageRef(self.network, channel, str(number))

    def _last_number(self, inbox: Inbox) -> int:
        last = inbox.last_event(self.network) or "0"
        if not last.isdecimal():
            raise PermanentError(f"The last event of {self.network}, {last}, is not a number: another network's?")
        return int(last)

    def _listen(self, inbox: Inbox, after: int, stop: threading.Event) -> None:
        """Deliver until stopped. An event that could not be stored is delivered again, and none is left out."""
        while not stop.is_set():
            try:
                for event in self._room.follow(after, stop):
                    self._deliver(inbox, event)
                    after = event.number
            except KcibotError as error:
                log.warning("%s: reading on after event %s: %s", self.network, after, error)
                stop.wait(RETRY_SECONDS)

    def _deliver(self, inbox: Inbox, event: Event) -> None:
        kind = _HEARD.get(event.kind)
        if kind is None:
            return
        inbox.accept(
            Incoming(
                event_id=str(event.number),
                kind=kind,
                place=Place(self.network, event.channel),
                identity=event.speaker,
                nick=event.speaker,
                text=event.text,
                at=event.at,
                target=self._ref(event.channel, event.target) if event.target else None,
            )
        )


class _Posts:
    """What the bot has posted, read from the room once and then kept up to date by reading on."""

    def __init__(self, room: Room) -> None:
        self._reader = room.reader()
        self._lock = threading.Lock()
        self._by_key: dict[tuple[str, str], int] = {}
        self._posted: set[tuple[str, int]] = set()

    def under(self, channel: str, key: str) -> int | None:
        """The first post under that key."""
        with self._lock:
            self._read_on()
            return self._by_key.get((channel, key))

    def number(self, ref: MessageRef) -> int:
        """The number of a post of ours; NotFound if it is none."""
        number = int(ref.message_id) if ref.message_id.isdecimal() else 0
        with self._lock:
            self._read_on()
            if (ref.channel, number) not in self._posted:
                raise NotFound(f"Message {ref.message_id} in {ref.channel} is not one of the bot's, so it stays as is.")
        return number

    def _read_on(self) -> None:
        for event in self._reader.take():
            if event.kind is RoomKind.POST:
                self._by_key.setdefault((event.channel, event.key), event.number)
                self._posted.add((event.channel, event.number))
