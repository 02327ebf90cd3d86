"""What the chat networks report to: events go into the inbox, and a network that is back is asked for votes."""

import logging
import threading
from collections.abc import Callable, Collection

from kcibot.core.message import Incoming
from kcibot.core.ports import Inbox
from kcibot.core.reconcile import Reconciler
from kcibot.errors import KcibotError

log = logging.getLogger(__name__)

AGAIN_SECONDS = 30.0
LONGEST_AGAIN_SECONDS = 1800.0


class Desk:
    """Fulfils `Listener` over the store's inbox.

    Votes that cannot be seen are looked for again after `again` seconds, then after twice as long, until `close`: the
    next connection may be hours away.
    """

    def __init__(
        self,
        inbox: Inbox,
        reconciler: Reconciler,
        concerns: Callable[[Incoming], bool],
        again: float = AGAIN_SECONDS,
    ) -> None:
        self._inbox = inbox
        self._reconciler = reconciler
        self._concerns = concerns
        self._again = again
        self._timers: dict[str, threading.Timer] = {}
        self._heard: set[str] = set()
        self._closed = False
        self._lock = threading.Condition()

    def accept(self, event: Incoming) -> bool:
        """What is not the bot's business is not stored, and may be acknowledged all the same."""
        return self._concerns(event) and self._inbox.accept(event)

    def hand_over(self, event: Incoming) -> None:
        if self._concerns(event):
            self._inbox.hand_over(event)

    def last_event(self, network: str) -> str | None:
        return self._inbox.last_event(network)

    def connected(self, network: str) -> None:
        self._look(network, self._again)

    def wait(self, networks: Collection[str], seconds: float) -> bool:
        """Whether each of them was there by then, and what was said and voted there meanwhile is in the inbox."""
        with self._lock:
            return self._lock.wait_for(lambda: self._closed or self._heard.issuperset(networks), seconds)

    def close(self) -> None:
        """Nothing is looked for any more, and nobody waited for."""
        with self._lock:
            self._closed = True
            self._lock.notify_all()
            for timer in self._timers.values():
                timer.cancel()

    def _look(self, network: str, again: float) -> None:
        try:
            self._reconciler.look(network)
        except KcibotError as error:
            log.warning("%s: votes that were cast meanwhile cannot be seen yet: %s", network, error)
            self._look_later(network, again)
        else:
            with self._lock:
                self._heard.add(network)
                self._lock.notify_all()

    def _look_later(self, network: str, seconds: float) -> None:
        with self._lock:
            if self._closed:
                return
            earlier = self._timers.get(network)
            if earlier:
                earlier.cancel()
            twice = min(seconds * 2, LONGEST_AGAIN_SECONDS)
            self._timers[network] = timer = threading.Timer(seconds, self._look, (network, twice))
            timer.daemon = True
            timer.start()
