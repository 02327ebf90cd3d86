"""Saying lines on IRC, and knowing which of them arrived."""

from collections.abc import Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass

from kcibot.chat.irc.lines import compose, sayable, unemphasised
from kcibot.chat.irc.pace import Pace
from kcibot.chat.irc.queue import Ticket
from kcibot.chat.irc.receipts import Receipt
from kcibot.chat.irc.session import Session
from kcibot.chat.irc.split import room, split
from kcibot.errors import KcibotError, OutcomeUnknown, TransientError

AGAIN = "(again) "


@dataclass(frozen=True)
class Spoken:
    """Lines on their way: whether they were written, and with `echoes`, what the server says of them."""

    pieces: tuple[str, ...]
    tickets: tuple[Ticket, ...]
    receipts: tuple[Receipt, ...]
    echoes: bool

    @property
    def arrived(self) -> int:
        """How many of them, from the first, the server is done with; without echoes the last may not be there."""
        if self.echoes:
            return max((number for number, one in enumerate(self.receipts, 1) if one.message_id is not None), default=0)
        written = self._written
        broke = written < len(self.tickets) and isinstance(_error(self.tickets[written].written), OutcomeUnknown)
        return written if broke else max(written - 1, 0)

    @property
    def left_out(self) -> tuple[Receipt, ...]:
        """What was refused or swallowed, since a later one of them was shown."""
        return tuple(one for one in self.receipts[: self.arrived] if self.echoes and one.message_id is None)

    @property
    def doubtful(self) -> bool:
        """Whether the one after those that arrived may be there."""
        if self.arrived == len(self.pieces):
            return False
        if self.echoes and isinstance(_error(self.receipts[self.arrived].seen), TransientError):
            return False
        return not isinstance(_error(self.tickets[self.arrived].written), TransientError)

    @property
    def emphasis_refused(self) -> bool:
        """Some channels take no line with a code in it, such as those of mode +c on InspIRCd."""
        refused = (one.text for one in self.receipts if isinstance(_error(one.seen), TransientError))
        return any(unemphasised(text) != text for text in refused)

    @property
    def ids(self) -> tuple[str, ...]:
        """Under which the network knows those that arrived; empty where it has no ids."""
        return self.all_ids[: self.arrived]

    @property
    def all_ids(self) -> tuple[str, ...]:
        return tuple(receipt.message_id or "" for receipt in self.receipts)

    @property
    def _written(self) -> int:
        return _leading([one.written.done() and _error(one.written) is None for one in self.tickets])


class Swallowed(OutcomeUnknown):
    """The server answered to what was sent behind it, and never showed it to us: so, as it seems, to nobody."""


class Mouth:
    """Puts lines into the queue of a session."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace

    def fitted(self, session: Session, target: str, lines: Sequence[str]) -> tuple[str, ...]:
        """The lines as they will arrive whole, even if they have to be said again."""
        most = room(session.us.mask, target) - len(AGAIN)
        return tuple(piece for line in lines for piece in split(sayable(line), most))

    def say(self, session: Session, command: str, target: str, pieces: Sequence[str]) -> Spoken:
        """Queue them. Raises TransientError: none was."""
        receipts = self._receipts(session, target, pieces)
        lines = self._lines(session, command, target, receipts)
        try:
            tickets = session.link.say(lines, self._pace.patience)
        except TransientError:
            self.forget(session, receipts)
            raise
        return Spoken(tuple(pieces), tickets, receipts, session.us.has("echo-message"))

    def mention(self, session: Session, command: str, target: str, pieces: Sequence[str]) -> bool:
        """Queue them without waiting for anything; false if there is no room, and then none is said."""
        receipts = self._receipts(session, target, pieces)
        if session.link.send(*self._lines(session, command, target, receipts)):
            return True
        self.forget(session, receipts)
        return False

    def await_arrival(self, session: Session, spoken: Spoken, target: str, *, surely: bool) -> None:
        """Until they are written and, with echoes or `surely`, the server has them.

        Raises TransientError if the first certainly was not said, OutcomeUnknown if nobody can tell.
        """
        try:
            for ticket in spoken.tickets:
                ticket.written.result()
            if spoken.echoes:
                self._await_echoes(session, spoken, target)
            elif surely:
                self._ask(session, target)
        except Swallowed:
            raise
        except TimeoutError as error:
            raise OutcomeUnknown("The IRC server did not show us what we said.") from error
        except KcibotError as error:
            if not spoken.arrived and not spoken.doubtful:
                raise TransientError(str(error)) from error
            raise OutcomeUnknown(str(error)) from error

    def _await_echoes(self, session: Session, spoken: Spoken, target: str) -> None:
        """Of all of them, since the server may pass some on and others not."""
        wait([receipt.seen for receipt in spoken.receipts], self._pace.echo)
        for receipt in spoken.receipts[spoken.arrived :]:
            if not receipt.seen.done():
                self._ask(session, target)
                raise Swallowed("The IRC server took it, and did not show it.")
            receipt.seen.result()

    def _ask(self, session: Session, target: str) -> None:
        """The server answers in order: when it answers to this, it has what was said before."""
        receipt = session.receipts.expect(target, "")
        session.link.say((compose("PING", receipt.label),), self._pace.patience)
        receipt.seen.result(self._pace.echo)

    def _receipts(self, session: Session, target: str, pieces: Sequence[str]) -> tuple[Receipt, ...]:
        """Without echoes nothing will ever be said of a line, and nothing is waited for."""
        if session.us.has("echo-message"):
            return tuple(session.receipts.expect(target, piece) for piece in pieces)
        return tuple(Receipt("", target, piece) for piece in pieces)

    def _lines(self, session: Session, command: str, target: str, receipts: Sequence[Receipt]) -> tuple[bytes, ...]:
        labels = session.us.has("labeled-response") and session.us.has("echo-message")
        return tuple(
            compose(command, target, text=one.text, tags={"label": one.label} if labels else None) for one in receipts
        )

    def forget(self, session: Session, receipts: Sequence[Receipt]) -> None:
        """Nobody will ever say anything of them."""
        for receipt in receipts:
            session.receipts.forget(receipt)


def _leading(flags: Sequence[bool]) -> int:
    return flags.index(False) if False in flags else len(flags)


def _error(future: Future[str] | Future[None]) -> BaseException | None:
    return future.exception() if future.done() else None
