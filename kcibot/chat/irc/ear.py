"""What is said in our channels, to whom it is given, and what comes back of our own."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

from irc.ctcp import DELIMITER as CTCP

from kcibot.chat.irc.channels import Channels
from kcibot.chat.irc.crowd import Crowd
from kcibot.chat.irc.heard import Events
from kcibot.chat.irc.lines import Line
from kcibot.chat.irc.receipts import Receipts
from kcibot.chat.irc.us import Us
from kcibot.core.message import Incoming

HISTORY = frozenset({"chathistory", "znc.in/playback"})


class Office(Protocol):
    """Where what was heard goes, in the reader's thread: nothing there may wait."""

    def heard(self, event: Incoming) -> None: ...

    def spoken_to(self, nick: str, text: str) -> None:
        """Somebody wrote to the bot alone."""
        ...


class Ear:
    """Notices and CTCP never become events, nor does what we said ourselves."""

    def __init__(
        self, us: Us, channels: Channels, crowd: Crowd, events: Events, receipts: Receipts, office: Office
    ) -> None:
        self._us = us
        self._channels = channels
        self._crowd = crowd
        self._events = events
        self._receipts = receipts
        self._office = office
        self._batches: dict[str, str] = {}

    def handlers(self) -> Mapping[str, Callable[[Line], None]]:
        return {"BATCH": self._batch, "PRIVMSG": self._said, "NOTICE": self._noted, "TAGMSG": self._tagged}

    def _batch(self, line: Line) -> None:
        name = line.param(0)
        if name.startswith("+"):
            around = self._batches.get(line.tags.get("batch", ""), "")
            self._batches[name[1:]] = around or line.param(1)
        else:
            self._batches.pop(name[1:], None)

    def _is_history(self, line: Line) -> bool:
        return self._batches.get(line.tags.get("batch", "")) in HISTORY

    def _said(self, line: Line) -> None:
        channel = self._channels.named(line.param(0))
        if self._us.is_me(line.nick):
            self._echo(line)
        elif channel and not line.text.startswith(CTCP):
            self._deliver(line, self._events.message(line, channel, ""))
        elif self._us.is_me(line.param(0)):
            self._office.spoken_to(line.nick, line.text)

    def _noted(self, line: Line) -> None:
        if self._us.is_me(line.nick):
            self._echo(line)

    def _echo(self, line: Line) -> None:
        """What is shown again of long ago was said by whoever had that nick then."""
        if self._is_history(line):
            return
        self._us.shown_as(line.source)
        target = self._channels.named(line.param(0)) or line.param(0)
        self._receipts.echoed(line.tags.get("label", ""), target, line.text, line.tags.get("msgid", ""))

    def _tagged(self, line: Line) -> None:
        channel = self._channels.named(line.param(0))
        if channel and not self._us.is_me(line.nick):
            event = self._events.reaction(line, channel, "")
            if event:
                self._deliver(line, event)

    def _deliver(self, line: Line, event: Incoming) -> None:
        """Who was called so when history was made may be somebody else now: then only a tag vouches."""
        if self._is_history(line):
            tagged = line.tags.get("account", "") if self._us.has("account-tag") else ""
            self._with_account(event, tagged)
        else:
            self._crowd.deliver(line, event, self._with_account)

    def _with_account(self, event: Incoming, account: str) -> None:
        self._office.heard(replace(event, identity=account))
