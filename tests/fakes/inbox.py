"""An inbox in memory, for tests of chat adapters."""

import threading

from kcibot.core.message import Incoming
from kcibot.errors import TransientError


class MemoryInbox:
    """An `Inbox` that keeps what it accepted, in order. `fail_next` makes that many deliveries fail first."""

    def __init__(self) -> None:
        self.events: list[Incoming] = []
        self.refused = 0
        self.fail_next = 0
        self._lock = threading.Lock()

    def accept(self, event: Incoming) -> bool:
        with self._lock:
            if self.fail_next > 0:
                self.fail_next -= 1
                self.refused += 1
                raise TransientError("The store is busy.")
            if any(
                (known.place.network, known.event_id) == (event.place.network, event.event_id) for known in self.events
            ):
                return False
            self.events.append(event)
            return True

    def last_event(self, network: str) -> str | None:
        with self._lock:
            mine = [event.event_id for event in self.events if event.place.network == network]
        return mine[-1] if mine else None
