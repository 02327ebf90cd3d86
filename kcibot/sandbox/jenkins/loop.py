"""An event loop in sandbox time: one heap of due events, whatever the number of builds."""

import heapq
import itertools
import threading
from collections.abc import Callable

from kcibot.sandbox.clock import SandboxClock

LONGEST_WAIT_SECONDS = 0.02
"""Real seconds between two looks at the clock, which other processes can put forward."""

Action = Callable[[], None]


class VirtualLoop:
    """Runs actions at their sandbox time, in order, each at most once.

    While an action runs, `now` is the time at which it was due: a clock that is put forward by hours lets everything
    happen in its order and with its times. All of it, and everybody who uses what the actions change, holds `lock`.
    """

    def __init__(self, clock: SandboxClock) -> None:
        self.lock = threading.RLock()
        self._clock = clock
        self._heap: list[tuple[float, int, Action]] = []
        self._order = itertools.count()
        self._current: float | None = None
        self._newest = 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sandbox-jenkins", daemon=True)

    def now(self) -> float:
        """Sandbox time in seconds since the epoch; never runs backwards."""
        if self._current is not None:
            return self._current
        self._newest = max(self._newest, self._clock.now().timestamp())
        return self._newest

    def after(self, seconds: float, action: Action) -> None:
        self.at(self.now() + seconds, action)

    def at(self, when: float, action: Action) -> None:
        with self.lock:
            heapq.heappush(self._heap, (max(when, self.now()), next(self._order), action))

    def catch_up(self) -> None:
        """Run everything that is due by now."""
        with self.lock:
            if self._current is not None:
                return
            until = self.now()
            while self._heap and self._heap[0][0] <= until:
                due, _, action = heapq.heappop(self._heap)
                self._current = due
                try:
                    action()
                finally:
                    self._current = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._stopping.wait(self._pause()):
            self.catch_up()

    def _pause(self) -> float:
        with self.lock:
            if not self._heap:
                return LONGEST_WAIT_SECONDS
            real = (self._heap[0][0] - self.now()) / self._clock.rate
        return min(max(real, 0.0), LONGEST_WAIT_SECONDS)
