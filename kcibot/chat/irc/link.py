"""One connection to an IRC server: a thread that reads, one that writes, and a ping that notices when it is dead.

At every moment only one thread writes, and whole lines: the one that has the pen.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence

from kcibot.chat.irc.lines import Line, Received, compose, parse
from kcibot.chat.irc.queue import Lane, SendQueue, Ticket
from kcibot.chat.irc.socket import Wire
from kcibot.errors import OutcomeUnknown

log = logging.getLogger(__name__)

SECRET = ("AUTHENTICATE", "PASS")
JOIN_SECONDS = 5.0


class Link:
    """`hear` gets every line but pings, in the reader's thread; whatever it raises is logged, and reading goes on.

    `ping` seconds of silence and the server is asked; as much again, and the connection is given up.
    """

    def __init__(self, wire: Wire, queue: SendQueue, ping: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.closed = threading.Event()
        self.why = ""
        self.hear: Callable[[Line], None] = _nobody
        self.lost: Callable[[str], None] = _nobody_cares
        self._wire = wire
        self._queue = queue
        self._ping = ping
        self._clock = clock
        self._heard_at = clock()
        self._asked_at: float | None = None
        self._closing = threading.Lock()
        self._pen = threading.Lock()
        self._threads = (
            threading.Thread(target=self._read, name="irc-reader", daemon=True),
            threading.Thread(target=self._write, name="irc-writer", daemon=True),
        )

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def send(self, *lines: bytes, lane: Lane = Lane.NORMAL) -> bool:
        """Without waiting; false if there is no room for all of them, and then none is sent."""
        return bool(self._queue.offer(lines, lane)) or not lines

    def say(self, lines: Sequence[bytes], seconds: float) -> tuple[Ticket, ...]:
        """Waits for room so long. Raises TransientError: nothing is sent.

        What may go at once is written here: to hand it to the writer's thread would cost more than the writing.
        """
        tickets = self._queue.put(lines, seconds)
        if self._pen.acquire(blocking=False):
            try:
                self._write_what_may_go()
            finally:
                self._pen.release()
        self._queue.nudge()
        return tickets

    def let_in(self) -> None:
        """The server has let us in: what was said until now does not count against the rate."""
        self._queue.refill()

    @property
    def silent_for(self) -> float:
        """Seconds since the server's last line."""
        return self._clock() - self._heard_at

    def tick(self) -> None:
        """Ask when it was silent for long; close when it does not answer."""
        silent = self.silent_for
        if silent < self._ping:
            self._asked_at = None
        elif self._asked_at is None:
            self._asked_at = self._clock()
            self.send(compose("PING", "kcibot"), lane=Lane.URGENT)
        elif self._clock() - self._asked_at >= self._ping:
            self.close(f"The IRC server was silent for {silent:.0f} s.")

    def close(self, why: str) -> None:
        """The first reason counts. Returns at once; the threads end."""
        with self._closing:
            if self.closed.is_set():
                return
            self.why = why
            self.closed.set()
        self._queue.close(why)
        self._wire.end()
        self.lost(why)

    def join(self) -> None:
        """After `close`."""
        for thread in self._threads:
            thread.join(JOIN_SECONDS)
        if not any(thread.is_alive() for thread in self._threads):
            self._wire.close()

    # ---- the two threads ---------------------------------------------------------------------------------------

    def _read(self) -> None:
        received = Received()
        try:
            while data := self._wire.receive():
                self._heard_at = self._clock()
                for text in received.feed(data):
                    self._heard(text)
            self.close("The IRC server closed the connection.")
        except (OSError, ValueError) as error:  # a ValueError is a socket that was closed under us
            self.close(f"The connection to the IRC server broke: {error}")

    def _heard(self, text: str) -> None:
        try:
            line = parse(text)
            if line is None:
                return
            _note("<", text, line.command)
            if line.command == "PING":
                self.send(compose("PONG", text=line.text), lane=Lane.URGENT)
            else:
                self.hear(line)
        except Exception:  # a line of somebody else's must not end our listening
            log.exception("irc: cannot deal with a line")

    def _write(self) -> None:
        while self._queue.wait():
            with self._pen:
                self._write_what_may_go()

    def _write_what_may_go(self) -> None:
        """Only by who has the pen."""
        while ticket := self._queue.poll():
            try:
                self._wire.send(ticket.data)
            except (OSError, ValueError) as error:
                why = f"The connection to the IRC server broke: {error}"
                ticket.written.set_exception(OutcomeUnknown(f"It may or may not have been said on IRC: {error}"))
                self.close(why)
                return
            _note(">", ticket.data, "")
            ticket.written.set_result(None)


def _note(direction: str, line: str | bytes, command: str) -> None:
    """For debugging, without what proves who we are."""
    if not log.isEnabledFor(logging.DEBUG):
        return
    text = line if isinstance(line, str) else line.decode(errors="replace").rstrip()
    command = command or text.partition(" ")[0]
    log.debug("irc %s %s", direction, f"{command} ..." if command in SECRET else text)


def _nobody(_line: Line) -> None:
    """Before anybody listens."""


def _nobody_cares(_why: str) -> None:
    """Before anybody waits."""
