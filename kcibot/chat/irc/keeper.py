"""Being connected: connecting, noticing that it failed or ended, and connecting again."""

import logging
import threading
import time
from collections.abc import Callable

from kcibot.chat.irc.lines import compose
from kcibot.chat.irc.pace import Backoff, Pace
from kcibot.chat.irc.queue import Lane
from kcibot.chat.irc.session import Session
from kcibot.chat.irc.settings import IrcSettings
from kcibot.chat.irc.socket import Wire, dial
from kcibot.errors import KcibotError

log = logging.getLogger(__name__)

STOP_SECONDS = 10.0
LAST_WORDS_SECONDS = 1.0


class Keeper:
    """A thread that keeps one session alive until it is told to stop.

    `open_session` makes one on a socket, `arrived` is told when it has settled, `ended` when it is over, and why.
    """

    def __init__(
        self,
        settings: IrcSettings,
        pace: Pace,
        open_session: Callable[[Wire], Session],
        arrived: Callable[[Session], None],
        ended: Callable[[str], None],
        tick: Callable[[Session], None],
    ) -> None:
        self._settings = settings
        self._pace = pace
        self._open_session = open_session
        self._arrived = arrived
        self._ended = ended
        self._tick = tick
        self._backoff = Backoff(pace)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="irc-keeper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Take leave and end; returns after STOP_SECONDS at the latest, whatever the server does."""
        self._stopping.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(STOP_SECONDS)

    def _leave(self, session: Session) -> None:
        """The server closes the connection when it has understood."""
        session.link.send(compose("QUIT", text="kcibot is being stopped"), lane=Lane.URGENT)
        session.link.closed.wait(LAST_WORDS_SECONDS)
        session.link.close("The bot is being stopped.")

    def _run(self) -> None:
        while not self._stopping.is_set():
            lived = 0.0
            try:
                lived = self._once()
            except Exception:  # a mistake of ours must not keep the bot away for good
                log.exception("irc: something went wrong with the connection")
            self._stopping.wait(self._backoff.wait(lived))

    def _once(self) -> float:
        """One connection; for how many seconds we were there."""
        try:
            session = self._open_session(dial(self._settings))
        except KcibotError as error:
            self._note(str(error))
            return 0.0
        session.begin()
        try:
            lived = self._live(session)
        finally:
            session.link.close("The bot left.")
            session.link.join()
        self._note(session.link.why)
        return lived

    def _note(self, why: str) -> None:
        if not self._stopping.is_set():
            log.warning("irc: %s", why)
        self._ended(why)

    def _live(self, session: Session) -> float:
        seconds = self._settings.timeout.total_seconds()
        begun, registered_at, told = time.monotonic(), 0.0, False
        while not session.link.closed.wait(self._pace.tick):
            now = time.monotonic()
            if self._stopping.is_set():
                self._leave(session)
                break
            if not session.registered.is_set():
                if now - begun >= seconds:
                    session.link.close(f"Coming to IRC took over {seconds:.0f} s: no sign of {session.waits_for}.")
                continue
            registered_at = registered_at or now
            if not told and (session.settled.is_set() or now - registered_at >= seconds):
                told = True
                self._guarded(self._arrived, session)
            self._guarded(self._tend, session)
        return time.monotonic() - registered_at if registered_at else 0.0

    def _tend(self, session: Session) -> None:
        session.tick()
        self._tick(session)

    def _guarded(self, work: Callable[[Session], None], session: Session) -> None:
        try:
            work(session)
        except Exception:  # the connection is worth more than one thing that went wrong
            log.exception("irc: something went wrong beside the connection")
