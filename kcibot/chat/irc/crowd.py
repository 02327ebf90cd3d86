"""The others in our channels, and as whom the network knows them."""

from collections.abc import Callable, Iterable, Mapping

from kcibot.chat.irc.accounts import Accounts
from kcibot.chat.irc.channels import Channels
from kcibot.chat.irc.lines import Line, compose
from kcibot.chat.irc.lookups import Lookups
from kcibot.chat.irc.pace import Pace
from kcibot.chat.irc.us import Us
from kcibot.core.message import Incoming

WHO_FIELDS = "%na"
"""Nick and account (WHOX)."""
ASKED = 3
TELLING = frozenset({"account-notify", "extended-join"})
"""With both of them the server tells of every account that changes in our channels."""


class Crowd:
    """Learns from joins, parts and answers; asks the server when a line comes from somebody of whom it was not told."""

    def __init__(
        self, us: Us, channels: Channels, pace: Pace, send: Callable[[bytes], bool], release: Callable[[Incoming], None]
    ) -> None:
        self.accounts = Accounts(us.fold)
        self._us = us
        self._channels = channels
        self._pace = pace
        self._send = send
        self._release = release
        self._lookups = Lookups(us.fold, release, pace.lookup)
        self._questions = 0
        self._moved: set[str] = set()

    def handlers(self) -> Mapping[str, Callable[[Line], None]]:
        return {
            "315": self._who_ended,
            "318": self._whois_ended,
            "330": self._whois,
            "353": self._names,
            "354": self._who,
            "401": self._whois_ended,
            "ACCOUNT": self._account,
        }

    def tick(self) -> None:
        self._lookups.tick()

    # ---- who is there ------------------------------------------------------------------------------------------

    def joined(self, line: Line, channel: str) -> None:
        self._move(line.nick)
        self.accounts.came(line.nick, channel)
        if self._us.has("extended-join") and len(line.params) > 1:
            self.accounts.told(line.nick, line.param(1))

    def question(self, channel: str) -> tuple[bytes, ...]:
        """What to ask the server for everybody's account at once, where it can tell."""
        if not self._us.offers("WHOX"):
            return ()
        self._questions += 1
        return (compose("WHO", channel, WHO_FIELDS),)

    def empty(self, channel: str) -> None:
        """We are not there any more and see nobody."""
        self.accounts.empty(channel)

    def left(self, nick: str, channel: str) -> None:
        self.accounts.gone(nick, channel)
        if not self.accounts.sees(nick):
            self._lookups.moved(nick)

    def quit(self, nick: str) -> None:
        """Also of those whom a netsplit takes away: who comes back under that nick has to be told anew."""
        self._lookups.moved(nick)
        self.accounts.quit(nick)

    def renamed(self, old: str, new: str) -> None:
        for nick in (old, new):
            self._lookups.moved(nick)
            self._move(nick)
        self.accounts.renamed(old, new)

    def _move(self, nick: str) -> None:
        """That nick is another's now: what is still to be answered may be of who had it when we asked."""
        if self._questions:
            self._moved.add(self._us.fold(nick))

    def _names(self, line: Line) -> None:
        channel = self._channels.named(line.param(2))
        for name in line.text.split() if channel else ():
            nick = name.lstrip(self._us.ranks).partition("!")[0]
            if nick and not self._us.is_me(nick):
                self.accounts.here(nick, channel)

    # ---- accounts ----------------------------------------------------------------------------------------------

    def deliver(self, line: Line, event: Incoming, said: Callable[[Incoming, str], None]) -> None:
        """`said` it with the account that the network vouches for; when that is not certain, with none."""
        account = self.vouched(line)
        if account is not None:
            said(event, account)
        elif self._lookups.hold(line.nick, event):
            self._send(compose("WHOIS", line.nick))

    def vouched(self, line: Line) -> str | None:
        """None if the server has to be asked. Where it tags lines with accounts, a line without is nobody's."""
        if self._us.has("account-tag"):
            account = line.tags.get("account", "")
            self.accounts.told(line.nick, account)
            return account
        told = all(map(self._us.has, TELLING))
        self.accounts.lasts = None if told else self._pace.believed
        return self.accounts.of(line.nick) if self.accounts.sees(line.nick) else ""

    def agreed(self, capabilities: Iterable[str]) -> None:
        """What the server tells us of by itself began or ended: changes may have been missed before or from now on."""
        if TELLING.intersection(capabilities):
            self.accounts.doubt()

    def _account(self, line: Line) -> None:
        self.accounts.told(line.nick, line.param(0))

    def _who(self, line: Line) -> None:
        if len(line.params) == ASKED and self._us.fold(line.param(1)) not in self._moved:
            self.accounts.told(line.param(1), line.param(2))

    def _who_ended(self, _line: Line) -> None:
        self._questions = max(self._questions - 1, 0)
        if not self._questions:
            self._moved.clear()

    def _whois(self, line: Line) -> None:
        self._lookups.found(line.param(1), line.param(2))

    def _whois_ended(self, line: Line) -> None:
        account = self._lookups.ended(line.param(1))
        if account is not None:
            self.accounts.told(line.param(1), account)
