"""Delivering what was said: one thread per network takes messages from the outbox and hands them to the adapter."""

import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from itertools import groupby

from kcibot.core.absence import FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS, Absences
from kcibot.core.journal import Outbox, Undelivered
from kcibot.core.message import MessageRef, Place
from kcibot.core.notice import URGENT, Notice
from kcibot.core.ports import ChatAdapter
from kcibot.errors import KcibotError, NotFound, OutcomeUnknown, PermanentError, TransientError

log = logging.getLogger(__name__)

IDLE_WAIT_SECONDS = 1.0
TITLE_LENGTH = 200
AT_ONCE = 50
MANY = 10
"""So many wait only under a load that no team makes. With fewer, they are begun one by one."""
QUICK_SECONDS = 0.02
DIGEST_FROM = 4
DIGEST_LINES = 15
MOST = 1000


class Sender:
    """Sends for one network until stopped. A failure is retried for ever: the network is away, the words are not.

    A room that takes nothing does not keep the others of its network waiting.
    """

    def __init__(self, outbox: Outbox, adapter: ChatAdapter) -> None:
        self._outbox = outbox
        self._adapter = adapter
        self._stopping = threading.Event()
        self._posting = True
        self._together = 1
        self._begun: set[int] = set()
        self._unsaid: set[int] = set()
        self._absences = Absences()
        self._troubles: dict[str, Exception] = {}
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
                sent = self._send_all(self._absences.resting(time.monotonic()))
                wait = FIRST_WAIT_SECONDS
            except Exception as error:  # neither the journal nor a mistake of ours may silence a network for good
                log.warning("%s: not delivered yet: %s", self._adapter.network, error, exc_info=_unexpected(error))
                sent = 0
                self._stopping.wait(wait)
                wait = min(wait * 2, LONGEST_WAIT_SECONDS)
            if self._stopping.is_set() and not sent:
                return
            if not sent:
                self._outbox.wait(self._adapter.network, IDLE_WAIT_SECONDS)

    def send_some(self) -> int:
        """Deliver what is waiting; how many messages that was. Raises what the first room raised that takes nothing."""
        sent = self._send_all(())
        for error in self._troubles.values():
            raise error
        return sent

    def _send_all(self, resting: Collection[str]) -> int:
        """How many messages were delivered; `resting` are channels that are not to be tried."""
        self._troubles = {}
        late = self._absences.long_away(time.monotonic()) - frozenset(resting)
        limit = MOST if late else AT_ONCE
        messages = self._outbox.undelivered(self._adapter.network, limit, resting)
        self._posting = bool(messages) or self._absences.in_doubt
        missed = _missed(messages, late)
        rows = {message.row for message in missed}
        waiting = [message for message in messages if message.row not in rows]
        sent = 0
        while waiting:
            together = self._together if len(waiting) > MANY else 1
            now, waiting = waiting[:together], waiting[together:]
            sent += self._send(now)
        for _, some in groupby(missed, key=lambda message: message.place):
            sent += self._tell_of(tuple(some))
        if len(messages) < limit:  # else there may be more of what was missed
            for channel in {message.place.channel for message in messages} - self._troubles.keys():
                self._absences.ended(channel)
        return sent

    def _send(self, some: Sequence[Undelivered]) -> int:
        """Each beginning is a promise of the disk's; where many wait and the network is quick, some share one.

        So after a kill one message may have been said without a record of it; more only amid such a load.
        """
        some = [message for message in some if message.place.channel not in self._troubles]
        new = [message for message in some if not message.in_flight]
        together, self._together = self._together, 1
        if new:
            self._outbox.sending(*new)
            self._begun.update(message.row for message in new if not _stands(message))
        begin = time.monotonic()
        sent = sum(self._sent(message) for message in some)
        if sent == len(some) and time.monotonic() - begin < QUICK_SECONDS:
            self._together = min(together * 2, AT_ONCE)
        return sent

    def _sent(self, message: Undelivered) -> bool:
        """Not behind one of the same room that could not be delivered: the order counts."""
        if message.place.channel in self._troubles:
            return False
        ref = self._tried(lambda: self._deliver(message), message)
        if ref:
            self._outbox.sent(message, ref)
        return ref is not None

    def _tell_of(self, missed: Sequence[Undelivered]) -> int:
        """In one message, what was said in a room in vain. Each of them is posted when it changes."""
        if missed[0].place.channel in self._troubles or not self._tried(lambda: self._digest(missed), missed[0]):
            return 0
        for message in missed:
            self._outbox.sent(message, MessageRef(message.place.network, message.place.channel, ""))
        return len(missed)

    def _digest(self, missed: Sequence[Undelivered]) -> MessageRef:
        place, key = missed[0].place, f"missed:{missed[0].row}:{missed[-1].row}"
        try:
            return self._adapter.post(place, digest_of(place.network, missed), key)
        except OutcomeUnknown as error:
            return self._found(place, key, error)

    def _tried(self, deliver: Callable[[], MessageRef], message: Undelivered) -> MessageRef | None:
        """None if the room does not take it now, whatever the reason."""
        looks_first = message.in_flight and message.row not in self._unsaid
        try:
            ref = deliver()
        except Exception as error:  # a mistake of an adapter about one message must not silence a network
            certain = isinstance(error, TransientError | PermanentError) and not looks_first
            (self._unsaid.add if certain else self._unsaid.discard)(message.row)
            self._troubles[message.place.channel] = error
            self._absences.failed(message.place.channel, time.monotonic(), doubt=not certain)
            where, channel = self._adapter.network, message.place.channel
            log.warning("%s: not delivered yet in %s: %s", where, channel, error, exc_info=_unexpected(error))
            return None
        self._unsaid.discard(message.row)
        return ref

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
        except OutcomeUnknown as error:
            return self._found(message.place, message.key, error)

    def _found(self, place: Place, key: str, error: OutcomeUnknown) -> MessageRef:
        """What may have been said, and the error if it cannot be found there."""
        found = self._adapter.find(place, key)
        if found is None:
            raise error
        return found

    def _post(self, message: Undelivered) -> MessageRef:
        """Somebody may have deleted what it belongs below."""
        thread = self._outbox.posted(message.thread, message.place) if message.thread else None
        try:
            return self._post_below(message, thread)
        except NotFound:
            if thread is None:
                raise
            return self._post_below(message, None)

    def _post_below(self, message: Undelivered, thread: MessageRef | None) -> MessageRef:
        """Something that the network never takes must not block what comes behind it: then only its title is said."""
        try:
            return self._adapter.post(message.place, message.notice, message.key, thread)
        except PermanentError as error:
            if thread and isinstance(error, NotFound):
                raise
            log.exception("%s: refused %s, only its title is said", self._adapter.network, message.key)
            title = f"{message.notice.title[:TITLE_LENGTH]} (I could not show the rest here: {error})"
            return self._adapter.post(message.place, Notice(title, message.notice.level), message.key, thread)

    def _edit(self, message: Undelivered, ref: MessageRef) -> MessageRef:
        try:
            self._adapter.edit(ref, message.notice)
        except PermanentError as error:
            log.warning("%s: cannot edit %s: %s", self._adapter.network, message.key, error)
        return ref


def _unexpected(error: Exception) -> Exception | None:
    """What is worth a trace in the log."""
    return None if isinstance(error, KcibotError) else error


def _stands(message: Undelivered) -> bool:
    """Whether it is there to be edited; what was only told of in a digest is not."""
    return message.ref is not None and message.ref.message_id != ""


def _missed(messages: Sequence[Undelivered], late: Collection[str]) -> tuple[Undelivered, ...]:
    """What is told in one message for each of these channels. A few are no flood."""
    missed = [one for one in messages if one.place.channel in late and _may_be_told_of(one)]
    ordered = sorted(missed, key=lambda one: (one.place.channel, one.row))
    rooms = (tuple(some) for _, some in groupby(ordered, key=lambda one: one.place))
    return tuple(one for some in rooms if len(some) >= DIGEST_FROM for one in some)


def _may_be_told_of(one: Undelivered) -> bool:
    """All that was never posted, nobody has to act on, and was meant for everybody."""
    return one.ref is None and not one.in_flight and one.notice.level not in URGENT and not one.notice.whisper


def digest_of(network: str, missed: Sequence[Undelivered]) -> Notice:
    """The newest lines of what was missed, oldest first."""
    lines = [one.notice.brief or one.notice.title for one in missed]
    left_out = len(lines) - DIGEST_LINES
    head = (f"... {left_out} more before these",) if left_out > 0 else ()
    title = f"{network} was away for a while; {len(lines)} messages were said meanwhile"
    return Notice(title, lines=(*head, *lines[-DIGEST_LINES:]))
