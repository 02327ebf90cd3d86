"""One connection to an IRC network from its first line to its last: coming, our nick, our channels."""

import logging
import threading
import time
from collections.abc import Callable, Mapping

from kcibot.chat.irc.channels import Channels
from kcibot.chat.irc.crowd import Crowd
from kcibot.chat.irc.ear import Ear, Office
from kcibot.chat.irc.heard import Events
from kcibot.chat.irc.lines import Line, compose
from kcibot.chat.irc.link import Link
from kcibot.chat.irc.pace import Pace
from kcibot.chat.irc.queue import Lane
from kcibot.chat.irc.receipts import Receipts
from kcibot.chat.irc.register import WANTED, Registration, offers
from kcibot.chat.irc.settings import IrcSettings, Mechanism
from kcibot.chat.irc.us import Us
from kcibot.errors import KcibotError

log = logging.getLogger(__name__)

SYNC = "kcibot-joined"
CANNOT_JOIN = frozenset({"403", "405", "407", "437", "470", "471", "473", "474", "475", "476", "477", "489", "520"})
NOT_SAID = frozenset({"401", "403", "404", "407", "415", "417", "482", "531", "716"})


class Session:
    """`hear` and `tick` come from two threads; only one of them is at work at a time.

    `registered` is set when the server let us in, `settled` when we are in every channel that lets us in and what was
    kept for us has been shown. `changed` is called when something may be said that could not, or the reverse.
    """

    def __init__(self, settings: IrcSettings, pace: Pace, link: Link, events: Events, office: Office) -> None:
        self.settings = settings
        self.link = link
        self.us = Us(settings.nick)
        self.receipts = Receipts()
        self.channels = Channels(settings.channels, pace, self.us.fold)
        self.crowd = Crowd(self.us, self.channels, pace, link.send, office.heard)
        self.registered = threading.Event()
        self.settled = threading.Event()
        self.changed: Callable[[], None] = _nothing
        self.trouble: Callable[[str], None] = _no_matter
        self._registration = Registration(settings)
        self._ear = Ear(self.us, self.channels, self.crowd, events, self.receipts, office)
        self._events = events
        self._pace = pace
        self._regain_at = 0.0
        self._using = threading.RLock()
        self._handlers = {**self._own_handlers(), **self.crowd.handlers(), **self._ear.handlers()}
        link.hear, link.lost = self.hear, self._lost

    def _own_handlers(self) -> Mapping[str, Callable[[Line], None]]:
        return {
            "005": self._features,
            "366": self._names_ended,
            "396": self._hidden,
            "901": self._logged_out,
            "CAP": self._capabilities,
            "CHGHOST": self._changed_host,
            "ERROR": self._error,
            "JOIN": self._joined,
            "KICK": self._kicked,
            "NICK": self._renamed,
            "PART": self._parted,
            "PONG": self._pong,
            "QUIT": self._quit,
        }

    def begin(self) -> None:
        self.link.start()
        self._urgent(*self._registration.begin())

    @property
    def waits_for(self) -> str:
        """What did not come, for who gives up waiting."""
        return self._registration.waits_for

    def hear(self, line: Line) -> None:
        with self._using:
            if not self._registration.done:
                self._register(line)
            handler = self._handlers.get(line.command)
            if handler:
                handler(line)
            if line.command in CANNOT_JOIN:
                self._not_let_in(line)
            if line.command in NOT_SAID:
                self._not_said(line)

    def tick(self) -> None:
        """What has to be done from time to time."""
        self.link.tick()
        with self._using:
            if self._registration.done:
                self.crowd.tick()
                self._join(*self.channels.due())
                self._regain()

    def _urgent(self, *lines: bytes) -> None:
        self.link.send(*lines, lane=Lane.URGENT)

    def _lost(self, why: str) -> None:
        self.receipts.lost(why)
        self.changed()

    # ---- coming ------------------------------------------------------------------------------------------------

    def _register(self, line: Line) -> None:
        try:
            answers = self._registration.hear(line)
        except KcibotError as error:
            self.link.close(str(error))
            return
        self._urgent(*answers)
        if line.command == "001":
            self._events.measure(line)
        if self._registration.done:
            self.us.nick, self.us.enabled = self._registration.nick, self._registration.enabled
            self._regain_at = time.monotonic() + self._pace.regain
            self.link.let_in()
            self._join(*self.settings.channels)
            self.registered.set()

    def _features(self, line: Line) -> None:
        self.us.learn(line.params[1:-1])

    def _capabilities(self, line: Line) -> None:
        """What is offered later is taken too; what is withdrawn is not counted on any more."""
        if not self._registration.done:
            return
        names, enabled = set(offers(line.text)), self.us.enabled
        new = sorted(names & set(WANTED) - enabled)
        match line.param(1).upper():
            case "NEW" if new:
                self._urgent(compose("CAP", "REQ", text=" ".join(new)))
            case "NAK" if len(names) > 1:
                self._urgent(*(compose("CAP", "REQ", text=name) for name in sorted(names & set(WANTED))))
            case "ACK":
                enabled |= names & set(WANTED)
                self.crowd.agreed(names)
            case "DEL":
                enabled -= names
                self.crowd.agreed(names)

    def _logged_out(self, _line: Line) -> None:
        """By services that were restarted, or by somebody. We do not stay as nobody: we come anew, and log in."""
        if self._registration.done and self.settings.mechanism is not Mechanism.NONE:
            self.link.close("The IRC server logged us out; so I left, to come back and log in.")

    def _error(self, line: Line) -> None:
        self.link.close(f"The IRC server ended the connection: {line.text}")

    # ---- ourselves ---------------------------------------------------------------------------------------------

    def _regain(self) -> None:
        """Ask for our nick from time to time; a refusal is no news."""
        now = time.monotonic()
        if self.us.nick != self.us.wanted and now >= self._regain_at:
            self._regain_at = now + self._pace.regain
            self._urgent(compose("NICK", self.us.wanted))

    def _renamed(self, line: Line) -> None:
        """Whoever made us do it, the server says how we are called."""
        if not line.param(0):
            return
        if self.us.is_me(line.nick):
            self.us.renamed(line.param(0))
            log.info("irc: we are called %s now", self.us.nick)
        else:
            self.crowd.renamed(line.nick, line.param(0))
            self._is_free(line.nick)

    def _quit(self, line: Line) -> None:
        self.crowd.quit(line.nick)
        self._is_free(line.nick)

    def _is_free(self, nick: str) -> None:
        """Somebody gave up that nick; if it is ours, we take it back."""
        if self.us.same(nick, self.us.wanted):
            self._regain_at = 0.0

    def _changed_host(self, line: Line) -> None:
        if self.us.is_me(line.nick):
            self.us.shown_as(f"{line.nick}!{line.param(0)}@{line.param(1)}")

    def _hidden(self, _line: Line) -> None:
        """Our host is shown as another from now on; the next line of ours says how."""
        self.us.shown_as("")

    # ---- channels ----------------------------------------------------------------------------------------------

    def _join(self, *channels: str) -> None:
        self._urgent(*(compose("JOIN", channel) for channel in channels))

    def _joined(self, line: Line) -> None:
        channel = self.channels.named(line.param(0))
        if not channel:
            return
        if not self.us.is_me(line.nick):
            self.crowd.joined(line, channel)
            return
        self.us.shown_as(line.source)
        self.channels.joined(channel)
        log.info("irc: in %s as %s", channel, self.us.nick)
        self.changed()

    def _names_ended(self, line: Line) -> None:
        channel = self.channels.named(line.param(1))
        if channel:
            self._urgent(*self.crowd.question(channel))
        self._sync()

    def _sync(self) -> None:
        """The server answers in order: after this answer nothing is under way that it kept for us."""
        if self.channels.settled and not self.settled.is_set():
            self._urgent(compose("PING", SYNC))

    def _pong(self, line: Line) -> None:
        self._events.measure(line)
        if line.text == SYNC:
            self.settled.set()
        else:
            self.receipts.answered(line.text)

    def _not_let_in(self, line: Line) -> None:
        channel = self.channels.named(line.param(1))
        if channel and not self.channels.there(channel):
            self._out(channel, f"The IRC server does not let us into {channel}: {line.text}")
            self._sync()

    def _kicked(self, line: Line) -> None:
        channel, nick = self.channels.named(line.param(0)), line.param(1)
        if channel and self.us.is_me(nick):
            self._out(channel, f"We were kicked from {channel} by {line.nick} ({line.text}).")
        elif channel:
            self.crowd.left(nick, channel)

    def _parted(self, line: Line) -> None:
        channel = self.channels.named(line.param(0))
        if channel and self.us.is_me(line.nick):
            self._out(channel, f"We were made to leave {channel}.")
        elif channel:
            self.crowd.left(line.nick, channel)

    def _out(self, channel: str, why: str) -> None:
        wait = self.channels.put_out(channel)
        self.crowd.empty(channel)
        log.warning("irc: %s Trying again in %.0f s.", why, wait)
        self.trouble(why)

    def _not_said(self, line: Line) -> None:
        target = self.channels.named(line.param(1)) or line.param(1)
        self.receipts.refused(line.tags.get("label", ""), target, line.text)


def _nothing() -> None:
    """Before anybody wants to know."""


def _no_matter(_why: str) -> None:
    """Before anybody wants to know."""
