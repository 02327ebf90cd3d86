"""Lines on their way to an IRC server: no faster than the network takes them, what cannot wait ahead of the rest."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import IntEnum

from kcibot.errors import TransientError


class Lane(IntEnum):
    """URGENT is what keeps the connection alive and brings it up; it may run ahead of the rate by one burst."""

    URGENT = 0
    NORMAL = 1


@dataclass(frozen=True, slots=True)
class Ticket:
    """A line, and what becomes of it: written, certainly not (TransientError), or perhaps (OutcomeUnknown)."""

    data: bytes
    written: Future[None] = field(default_factory=Future)


class Bucket:
    """Tokens: one for every line, `rate` new ones a second, never more than `burst`."""

    def __init__(self, rate: float, burst: int, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = float(burst)
        self._at = now

    def delay(self, now: float, lane: Lane) -> float:
        """Seconds until a line may be sent."""
        self._tokens = min(self._tokens + (now - self._at) * self._rate, float(self._burst))
        self._at = now
        credit = self._burst if lane is Lane.URGENT else 0
        return max(1 - self._tokens - credit, 0.0) / self._rate

    def take(self) -> None:
        self._tokens -= 1

    def refill(self) -> None:
        self._tokens = float(self._burst)


class SendQueue:
    """Every line takes a token, and a lane holds at most `longest`. Whoever empties it makes sure to be alone."""

    def __init__(
        self, rate: float, burst: int, longest: int = 500, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._lanes: dict[Lane, deque[Ticket]] = {lane: deque() for lane in Lane}
        self._bucket = Bucket(rate, burst, clock())
        self._longest = longest
        self._clock = clock
        self._closed = ""
        self._want_room = 0
        self._changed = threading.Condition()

    def offer(self, lines: Sequence[bytes], lane: Lane) -> tuple[Ticket, ...]:
        """Queue all of them without waiting; none, and an empty answer, when there is no room."""
        with self._changed:
            fits = len(self._lanes[lane]) + len(lines) <= self._longest
            tickets = self._append(lines, lane) if fits and not self._closed else ()
            self._changed.notify_all()
            return tickets

    def put(self, lines: Sequence[bytes], seconds: float) -> tuple[Ticket, ...]:
        """Queue all of them, waiting for room so long. Raises TransientError if nothing was queued.

        Who waits in `wait` is not told: the caller empties the queue as far as it can, or calls `nudge`.
        """
        lane = self._lanes[Lane.NORMAL]
        with self._changed:
            self._want_room += 1
            has_room = self._changed.wait_for(lambda: self._closed or len(lane) < self._longest, seconds)
            self._want_room -= 1
            if self._closed or not has_room:
                raise TransientError(self._closed or "There are too many lines waiting for the IRC server.")
            return self._append(lines, Lane.NORMAL)

    def _append(self, lines: Sequence[bytes], lane: Lane) -> tuple[Ticket, ...]:
        tickets = tuple(Ticket(line) for line in lines)
        self._lanes[lane].extend(tickets)
        return tickets

    def refill(self) -> None:
        """What was sent until now does not count: servers count what comes after they let somebody in."""
        with self._changed:
            self._bucket.refill()
            self._changed.notify_all()

    def nudge(self) -> None:
        """Somebody has to take what is there."""
        with self._changed:
            if any(self._lanes.values()):
                self._changed.notify_all()

    def poll(self) -> Ticket | None:
        """The next line, if there is one and it may be sent now."""
        with self._changed:
            lane = self._next()
            if lane is None or self._bucket.delay(self._clock(), lane):
                return None
            self._bucket.take()
            if self._want_room:
                self._changed.notify_all()
            return self._lanes[lane].popleft()

    def wait(self) -> bool:
        """Until there is a line that may be sent; false once the queue is closed."""
        with self._changed:
            while not self._closed:
                lane = self._next()
                delay = None if lane is None else self._bucket.delay(self._clock(), lane)
                if delay == 0:
                    return True
                self._changed.wait(delay)
            return False

    def _next(self) -> Lane | None:
        return next((lane for lane in Lane if self._lanes[lane]), None)

    def close(self, why: str) -> None:
        """Nothing is sent any more: what waits certainly was not."""
        with self._changed:
            self._closed = self._closed or why
            waiting = [ticket for lane in self._lanes.values() for ticket in lane]
            for lane in self._lanes.values():
                lane.clear()
            self._changed.notify_all()
        for ticket in waiting:
            ticket.written.set_exception(TransientError(self._closed))
