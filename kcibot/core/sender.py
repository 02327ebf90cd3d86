"""Delivering what was said: one thread per network takes messages from the outbox and hands them to the adapter."""

import logging
import threading
import time
from collections.abc import Sequence
from itertools import groupby

from kcibot.core.journal import Outbox, Undelivered
from kcibot.core.message import MessageRef, Place
from kcibot.core.notice import URGENT, Notice
from kcibot.core.ports import ChatAdapter
from kcibot.errors import KcibotError, OutcomeUnknown, PermanentError

log = logging.getLogger(__name__)

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 60.0
IDLE_WAIT_SECONDS = 1.0
TITLE_LENGTH = 200
AT_ONCE = 50
QUICK_SECONDS = 0.02
DIGEST_AFTER_SECONDS = 60.0
"""A network that was away for longer is not told everything that it missed, message by message."""
DIGEST_FROM = 4
DIGEST_LINES = 15
MOST = 1000


class Sender:
    """Sends for one network until stopped. A failure is retried for ever: the network is away, the words are not."""

    def __init__(self, outbox: Outbox, adapter: ChatAdapter) -> None:
        self._outbox = outbox
        self._adapter = adapter
        self._stopping = threading.Event()
        self._posting = True
        self._together = 1
        self._begun: set[int] = set()
        self._away_since: float | None = None
        self._thread = threading.Thread(target=self._loop, name=f"sender-{adapter.network}", daemon=True)

    @property
    def network(self) -> str:
        return self._adapter.network

    @property
    def posting(self) -> bool:
        """Whether there may be a message that people see and whose place is not recorded: so it is after a start."""
        return self._posting

    def start(self) -> None:
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """Send what can be sent in so long, then end."""
        self._stopping.set()
        self._thread.join(seconds)

    def _loop(self) -> None:
        wait = FIRST_WAIT_SECONDS
        while True:
            try:
                sent = self.send_or_note()
                wait = FIRST_WAIT_SECONDS
            except Exception as error:  # a mistake of an adapter must not silence a network for good
                unexpected = None if isinstance(error, KcibotError) else error
                log.warning("%s: not delivered yet: %s", self._adapter.network, error, exc_info=unexpected)
                sent = 0
                self._stopping.wait(wait)
                wait = min(wait * 2, LONGEST_WAIT_SECONDS)
            if self._stopping.is_set() and not sent:
                return
            if not sent:
                self._outbox.wait(self._adapter.network, IDLE_WAIT_SECONDS)

    def send_or_note(self) -> int:
        """As `send_some`; since when it fails is noted, until it does not."""
        try:
            sent = self.send_some()
        except Exception:
            self._away_since = self._away_since or time.monotonic()
            raise
        self._away_since = None
        return sent

    def send_some(self) -> int:
        """Deliver what is waiting; how many messages that was."""
        was_away = self._away_since is not None and time.monotonic() - self._away_since > DIGEST_AFTER_SECONDS
        messages = self._outbox.undelivered(self._adapter.network, MOST if was_away else AT_ONCE)
        self._posting = bool(messages)
        missed = _missed(messages) if was_away else ()
        waiting = [message for message in messages if message not in missed]
        while waiting:
            now, waiting = waiting[: self._together], waiting[self._together :]
            self._send(now)
        for place, some in groupby(missed, key=lambda message: message.place):
            self._tell_of(place, tuple(some))
        return len(messages)

    def _send(self, some: Sequence[Undelivered]) -> None:
        """What the network takes at once is begun at once: each beginning is a promise of the disk's.

        So after a kill more than one may have to be looked for, but not where the network is slow enough to notice.
        """
        new = [message for message in some if not (_stands(message) or message.in_flight)]
        together, self._together = self._together, 1
        if new:
            self._outbox.sending(*new)
            self._begun.update(message.row for message in new)
        begin = time.monotonic()
        for message in some:
            self._outbox.sent(message, self._deliver(message))
        if time.monotonic() - begin < QUICK_SECONDS:
            self._together = min(together * 2, AT_ONCE)

    def _tell_of(self, place: Place, missed: Sequence[Undelivered]) -> None:
        """In one message, what was said there in vain. Each of them is posted when it changes."""
        self._adapter.post(place, digest_of(place.network, missed), f"missed:{missed[0].row}:{missed[-1].row}")
        for message in missed:
            self._outbox.sent(message, MessageRef(place.network, place.channel, ""))

    def _deliver(self, message: Undelivered) -> MessageRef:
        if message.ref and _stands(message):
            return self._edit(message, message.ref)
        if message.row in self._begun:
            self._begun.discard(message.row)  # from now on it may have been said
        else:
            found = self._adapter.find(message.place, message.key)
            if found:
                return self._edit(message, found)
        try:
            return self._post(message)
        except OutcomeUnknown:
            found = self._adapter.find(message.place, message.key)
            if found is None:
                raise
            return found

    def _post(self, message: Undelivered) -> MessageRef:
        """Something that the network never takes must not block what comes behind it: then only its title is said."""
        thread = self._outbox.posted(message.thread, message.place) if message.thread else None
        try:
            return self._adapter.post(message.place, message.notice, message.key, thread)
        except PermanentError as error:
            log.exception("%s: refused %s, only its title is said", self._adapter.network, message.key)
            title = f"{message.notice.title[:TITLE_LENGTH]} (I could not show the rest here: {error})"
            return self._adapter.post(message.place, Notice(title, message.notice.level), message.key, thread)

    def _edit(self, message: Undelivered, ref: MessageRef) -> MessageRef:
        try:
            self._adapter.edit(ref, message.notice)
        except PermanentError as error:
            log.warning("%s: cannot edit %s: %s", self._adapter.network, message.key, error)
        return ref


def _stands(message: Undelivered) -> bool:
    """Whether it is there to be edited; what was only told of in a digest is not."""
    return message.ref is not None and message.ref.message_id != ""


def _missed(messages: Sequence[Undelivered]) -> tuple[Undelivered, ...]:
    """What is told in one message: all that was never posted, and that nobody has to act on. A few are no flood."""
    missed = [one for one in messages if one.ref is None and not one.in_flight and one.notice.level not in URGENT]
    ordered = tuple(sorted(missed, key=lambda one: (one.place.channel, one.row)))
    return ordered if len(ordered) >= DIGEST_FROM else ()


def digest_of(network: str, missed: Sequence[Undelivered]) -> Notice:
    """The newest lines of what was missed, oldest first."""
    lines = [one.notice.brief or one.notice.title for one in missed]
    left_out = len(lines) - DIGEST_LINES
    head = (f"... {left_out} more before these",) if left_out > 0 else ()
    title = f"{network} was away for a while; {len(lines)} messages were said meanwhile"
    return Notice(title, lines=(*head, *lines[-DIGEST_LINES:]))
