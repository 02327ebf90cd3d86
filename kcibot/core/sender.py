"""Delivering what was said: one thread per network takes messages from the outbox and hands them to the adapter."""

import logging
import threading

from kcibot.core.journal import Outbox, Undelivered
from kcibot.core.message import MessageRef
from kcibot.core.notice import Notice
from kcibot.core.ports import ChatAdapter
from kcibot.errors import KcibotError, OutcomeUnknown, PermanentError

log = logging.getLogger(__name__)

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 60.0
IDLE_WAIT_SECONDS = 1.0
TITLE_LENGTH = 200


class Sender:
    """Sends for one network until stopped. A failure is retried for ever: the network is away, the words are not."""

    def __init__(self, outbox: Outbox, adapter: ChatAdapter) -> None:
        self._outbox = outbox
        self._adapter = adapter
        self._stopping = threading.Event()
        self._posting = True
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
                sent = self.send_some()
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

    def send_some(self) -> int:
        """Deliver what is waiting; how many messages that was."""
        messages = self._outbox.undelivered(self._adapter.network)
        self._posting = bool(messages)
        for message in messages:
            self._outbox.sent(message, self._deliver(message))
        return len(messages)

    def _deliver(self, message: Undelivered) -> MessageRef:
        if message.ref:
            return self._edit(message, message.ref)
        if message.in_flight:
            found = self._adapter.find(message.place, message.key)
            if found:
                return self._edit(message, found)
        else:
            self._outbox.sending(message)
        try:
            return self._post(message)
        except OutcomeUnknown:
            found = self._adapter.find(message.place, message.key)
            if found is None:
                raise
            return found

    def _post(self, message: Undelivered) -> MessageRef:
        """Something that the network never takes must not block what comes behind it: then only its title is said."""
        try:
            return self._adapter.post(message.place, message.notice, message.key)
        except PermanentError as error:
            log.exception("%s: refused %s, only its title is said", self._adapter.network, message.key)
            title = f"{message.notice.title[:TITLE_LENGTH]} (I could not show the rest here: {error})"
            return self._adapter.post(message.place, Notice(title, message.notice.level), message.key)

    def _edit(self, message: Undelivered, ref: MessageRef) -> MessageRef:
        try:
            self._adapter.edit(ref, message.notice)
        except PermanentError as error:
            log.warning("%s: cannot edit %s: %s", self._adapter.network, message.key, error)
        return ref
