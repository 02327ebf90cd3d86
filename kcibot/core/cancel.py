"""How a run is asked to stand still: at its next safe point, or at once."""

import threading


class Cancel:
    """Fulfils `ports.Cancellation`. `stand_still` lets an effect in flight come to its end, `cancel` does not."""

    def __init__(self) -> None:
        self._cancelled = threading.Event()
        self._standing = threading.Event()

    @property
    def cancelled(self) -> bool:
        return self._cancelled.is_set()

    @property
    def standing(self) -> bool:
        """True if no further effect may begin."""
        return self._standing.is_set()

    def wait(self, seconds: float) -> bool:
        return self._cancelled.wait(seconds)

    def stand_still(self) -> None:
        self._standing.set()

    def cancel(self) -> None:
        self._standing.set()
        self._cancelled.set()
