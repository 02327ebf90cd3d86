"""What the chat networks report to: events go into the inbox, and a network that is back is asked for votes."""

import logging
from collections.abc import Callable

from kcibot.core.message import Incoming
from kcibot.core.ports import Inbox
from kcibot.core.reconcile import Reconciler
from kcibot.errors import KcibotError

log = logging.getLogger(__name__)


class Desk:
    """Fulfils `Listener` over the store's inbox."""

    def __init__(self, inbox: Inbox, reconciler: Reconciler, concerns: Callable[[Incoming], bool]) -> None:
        self._inbox = inbox
        self._reconciler = reconciler
        self._concerns = concerns

    def accept(self, event: Incoming) -> bool:
        """What is not the bot's business is not stored, and may be acknowledged all the same."""
        return self._concerns(event) and self._inbox.accept(event)

    def hand_over(self, event: Incoming) -> None:
        if self._concerns(event):
            self._inbox.hand_over(event)

    def last_event(self, network: str) -> str | None:
        return self._inbox.last_event(network)

    def connected(self, network: str) -> None:
        try:
            self._reconciler.look(network)
        except KcibotError as error:
            log.warning("%s: votes that were cast meanwhile cannot be seen yet: %s", network, error)
