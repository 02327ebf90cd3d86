"""The others in our channels, and as whom the network knows them."""

from collections.abc import Callable, Mapping

from kcibot.chat.irc.accounts import Accounts
from kcibot.chat.irc.channels import Channels
from kcibot.chat.irc.lookups import Lookups
from kcibot.chat.irc.pace import Pace
from kcibot.chat.irc.us import Us
from kcibot.chat.irc.wire import Line, compose
from kcibot.core.message import Incoming

WHO_FIELDS = "%na"
"""Nick and account (WHOX)."""
ASKED = 3


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

    def handlers(self) -> Mapping[str, Callable[[Line], None]]:
        return {
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
        self.accounts.came(line.nick, channel)
        if self._us.has("extended-join") and len(line.params) > 1:
            self.accounts.told(line.nick, line.param(1))

    def question(self, channel: str) -> tuple[bytes, ...]:
        """What to ask the server for everybody's account at once, where it can tell."""
        return (compose("WHO", channel, WHO_FIELDS),) if self._us.offers("WHOX") else ()

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
        self._lookups.moved(old)
        self._lookups.moved(new)
        self.accounts.renamed(old, new)

    def _names(self, line: Line) -> None:
        channel = self._channels.named(line.param(2))
        for name in line.text.split() if channel else ():
            nick = name.lstrip("~&@%+!").partition("!")[0]
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
        told = self._us.has("account-notify") and self._us.has("extended-join")
        self.accounts.lasts = None if told else self._pace.believed
        return self.accounts.of(line.nick) if self.accounts.sees(line.nick) else ""

    def _account(self, line: Line) -> None:
        self.accounts.told(line.nick, line.param(0))

    def _who(self, line: Line) -> None:
        if len(line.params) == ASKED:
            self.accounts.told(line.param(1), line.param(2))

    def _whois(self, line: Line) -> None:
        self._lookups.found(line.param(1), line.param(2))

    def _whois_ended(self, line: Line) -> None:
        account = self._lookups.ended(line.param(1))
        if account is not None:
            self.accounts.told(line.param(1), account)
