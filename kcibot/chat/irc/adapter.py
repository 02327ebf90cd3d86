"""IRC as a chat network: lines in, lines out, reactions where the network has them.

From the wire up: a `socket` has a `link` (`queue`: no faster than the network takes it), which carries `lines`. A
`session` is one connection: it comes by `register`, knows who we are (`us`), where (`channels`) and with whom (`crowd`,
`accounts`, `lookups`), and has an `ear` (what was `heard` becomes an event) and `receipts` of what we said. A `keeper`
keeps one alive, at a `pace`. What is said is `render`ed, cut (`split`), sent by the `mouth`, and held to be said once
(`posts`, `memory`); `changes` says which edits are worth a line; the `desk` answers what needs no core.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from kcibot.chat.irc.changes import NEVER, Said, is_news, note, short
from kcibot.chat.irc.desk import FrontDesk
from kcibot.chat.irc.heard import Events
from kcibot.chat.irc.keeper import Keeper
from kcibot.chat.irc.link import Link
from kcibot.chat.irc.memory import Later, Memory, Where
from kcibot.chat.irc.mouth import Mouth
from kcibot.chat.irc.pace import Pace
from kcibot.chat.irc.posts import Posts
from kcibot.chat.irc.queue import SendQueue
from kcibot.chat.irc.render import lines as rendered
from kcibot.chat.irc.session import Session
from kcibot.chat.irc.settings import IrcSettings
from kcibot.chat.irc.socket import Wire
from kcibot.core.message import Incoming, MessageRef, Place
from kcibot.core.notice import URGENT, Level, Notice
from kcibot.core.ports import Listener, Reaction
from kcibot.errors import PermanentError, TransientError

log = logging.getLogger(__name__)

MANY = 3
"""More persons than that are not called by name unless something is urgent: each of them gets a beep."""
USUAL = Pace()


class IrcChat:
    """A `ChatAdapter` on one IRC network. `mention` is the services account of a configured person, or nothing.

    IRC keeps nothing: an edit is a new line when it is news (`changes`), and a line of which nobody knows whether it
    was said is said again, with a mark. `connected_since` and `last_error` are for people who look after the bot.
    """

    def __init__(
        self,
        settings: IrcSettings,
        mention: Callable[[str], str],
        pace: Pace = USUAL,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.network = settings.network
        self.connected_since: datetime | None = None
        self.last_error = ""
        self._settings = settings
        self._mention = mention
        self._pace = pace
        self._memory = Memory()
        self._mouth = Mouth(pace)
        self._posts = Posts(self._memory, self._mouth, pace)
        self._events = Events(settings.network, now)
        self._desk = FrontDesk(settings, pace, self._memory, self._mouth, lambda: self._session, self._heard)
        self._session: Session | None = None
        self._changed = threading.Condition()
        self._listener: Listener | None = None
        self._keeper: Keeper | None = None

    def start(self, listener: Listener) -> None:
        """Returns at once; whether the network is there shows later."""
        self._listener = listener
        self._keeper = Keeper(self._settings, self._pace, self._open, self._arrived, self._ended, self._catch_up)
        self._keeper.start()

    def stop(self) -> None:
        """No event is delivered after this returns."""
        if self._keeper:
            self._keeper.stop()
        self._listener = None

    # ---- saying ------------------------------------------------------------------------------------------------

    def post(self, place: Place, notice: Notice, key: str, thread: MessageRef | None = None) -> MessageRef:
        """Say it; IRC has no threads.

        Raises TransientError if it was not said, OutcomeUnknown if nobody can tell, PermanentError if the server shows
        nobody these words.
        """
        self._check(place.network)
        where = (place.channel, key)
        session = self._there(place.channel, where)
        target = self._whispered(session, notice.whisper) if notice.whisper else place.channel
        if not target:
            log.info("irc: %s is not here any more, and was not told", notice.whisper)
            return self._ref(place.channel, self._posts.unnamed())
        pieces, rest = self._pieces(session, target, notice)
        command = "NOTICE" if notice.whisper else "PRIVMSG"
        try:
            message_id = self._posts.say(session, command, target, where, pieces, notice.level)
        finally:
            self._desk.settle()
        if not notice.whisper:
            self._keep(place.channel, rest)
        ref = self._ref(place.channel, message_id)
        self._note((ref.channel, ref.message_id), notice)
        return ref

    def edit(self, ref: MessageRef, notice: Notice) -> None:
        """A new line if it is news; of what changes often, not more than one in a while."""
        self._check(ref.network)
        where = (ref.channel, ref.message_id)
        due = self._due(self._memory.said(where), notice)
        if due is None:
            self._memory.drop(where)
        elif due > time.monotonic():
            self._memory.postpone(where, Later(notice, due))
        else:
            key = (ref.channel, f"edit:{ref.message_id}:{notice.level}:{notice.milestone}")
            session = self._there(ref.channel, key)
            pieces, rest = self._pieces(session, ref.channel, short(notice))
            try:
                self._posts.say(session, "PRIVMSG", ref.channel, key, pieces, notice.level, ref.message_id)
            finally:
                self._desk.settle()
            self._keep(ref.channel, rest)
            self._note(where, notice)

    def find(self, place: Place, key: str) -> MessageRef | None:
        """Nobody keeps it: None, and its next post is marked as perhaps repeated. But an echo may have come late."""
        self._check(place.network)
        message_id = self._posts.found((place.channel, key))
        self._desk.settle()
        return None if message_id is None else self._ref(place.channel, message_id)

    def reactions(self, ref: MessageRef) -> tuple[Reaction, ...] | None:
        """IRC does not keep them."""
        return None

    def _due(self, said: Said, notice: Notice) -> float | None:
        """When the change may be said (steady clock), None if it is not worth a line."""
        if not is_news(said, notice):
            return None
        is_card = said is not NEVER and said.level is Level.INFO and notice.level is Level.INFO
        return said.at + self._pace.card if is_card else 0.0

    def _catch_up(self, session: Session) -> None:
        """Say what had to wait, in the keeper's thread."""
        for where, later in self._memory.due(time.monotonic()):
            channel = where[0]
            pieces, _ = self._pieces(session, channel, short(later.notice))
            if session.channels.there(channel) and self._mouth.mention(session, "PRIVMSG", channel, pieces):
                self._note(where, later.notice)

    def _pieces(self, session: Session, target: str, notice: Notice) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What is said now, in lines that fit, and what `!more` would show. The last line asks for the answer."""
        if len(notice.mentions) > MANY and notice.level not in URGENT:
            notice = replace(notice, mentions=())
        longest = self._settings.longest
        text = rendered(notice, lambda person: self._addressed(session, person), longest)
        pieces = self._mouth.fitted(session, target, text.lines) or ("...",)
        if len(pieces) <= longest:
            return pieces, text.rest
        head = longest - 1
        return (*pieces[:head], pieces[-1]), (*pieces[head:-1], *text.rest)

    def _addressed(self, session: Session, person: str) -> str:
        """As they are called now; as the network knows them if they are not here."""
        account = self._mention(person)
        return session.crowd.accounts.nick_of(account) or account

    def _whispered(self, session: Session, whom: str) -> str:
        """The nick of somebody known by account or nick; empty if they are not here."""
        accounts = session.crowd.accounts
        return accounts.nick_of(whom) or (whom if accounts.sees(whom) else "")

    def _keep(self, channel: str, rest: tuple[str, ...]) -> None:
        if rest:
            self._memory.set_rest(channel, rest)

    def _note(self, where: Where, notice: Notice) -> None:
        self._memory.note(where, note(notice, time.monotonic()))

    def _ref(self, channel: str, message_id: str) -> MessageRef:
        return MessageRef(self.network, channel, message_id)

    def _check(self, network: str) -> None:
        if network != self.network:
            raise PermanentError(f"{network} is not the chat network {self.network}.")

    def _there(self, channel: str, what: Where) -> Session:
        """The session, once we are in that channel; waits a little for what is just coming."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_there(channel), self._pace.patience)
            session = self._session
        if session is None or not self._is_there(channel):
            self._memory.unsaid(what)
            why = f": {self.last_error}" if self.last_error else "."
            raise TransientError(f"I am not in {channel} on {self.network} now{why}")
        return session

    def _is_there(self, channel: str) -> bool:
        session = self._session
        return session is not None and session.channels.there(channel) and not session.link.closed.is_set()

    # ---- being connected ---------------------------------------------------------------------------------------

    def _open(self, wire: Wire) -> Session:
        queue = SendQueue(self._settings.rate, self._settings.burst)
        link = Link(wire, queue, self._settings.ping.total_seconds())
        session = Session(self._settings, self._pace, link, self._events, self._desk)
        session.changed, session.trouble = self._wake, self._trouble
        self._session = session
        return session

    def _arrived(self, session: Session) -> None:
        """In the keeper's thread."""
        self.connected_since = datetime.now(UTC)
        log.info("irc: connected to %s as %s", self._settings.server, session.us.nick)
        if self._listener:
            self._listener.connected(self.network)

    def _ended(self, why: str) -> None:
        self._session = None
        self.connected_since = None
        self._trouble(why)
        self._wake()

    def _trouble(self, why: str) -> None:
        self.last_error = why

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _heard(self, event: Incoming) -> None:
        if self._listener:
            self._listener.hand_over(event)
