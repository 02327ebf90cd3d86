"""Reactions to messages whose place is not recorded yet: they wait, in their order, and not for ever."""

from collections.abc import Callable

from kcibot.core.message import Incoming, MessageRef

WAITS_SECONDS = 60.0
"""Far longer than a message takes from the network to the journal. Most of what waits longer is not on ours at all."""


class Early:
    """Which events were too early. Those to the same message are let through one after the other."""

    def __init__(self, steady: Callable[[], float]) -> None:
        self._steady = steady
        self._waiting: dict[MessageRef, dict[str, float]] = {}

    def waits(self, event: Incoming, is_unknown: Callable[[], bool]) -> bool:
        """Whether it has to be heard again later: `is_unknown` says whether its message may yet become known."""
        if event.target is None:
            return False
        waiting = self._waiting.get(event.target, {})
        since = waiting.get(event.event_id, self._steady())
        is_next = next(iter(waiting), event.event_id) == event.event_id
        if is_next and (self._steady() - since >= WAITS_SECONDS or not is_unknown()):
            waiting.pop(event.event_id, None)
            if not waiting:
                self._waiting.pop(event.target, None)
            return False
        self._waiting.setdefault(event.target, {}).setdefault(event.event_id, since)
        return True
