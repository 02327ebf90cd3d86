"""Saying lines on IRC, and knowing which of them arrived."""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from kcibot.chat.irc.pace import Pace
from kcibot.chat.irc.queue import Ticket
from kcibot.chat.irc.receipts import Receipt
from kcibot.chat.irc.session import Session
from kcibot.chat.irc.split import room, split
from kcibot.chat.irc.wire import compose, sayable
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
        """How many of them, from the first, are there for all that we know; without echoes the last may not be."""
        if self.echoes:
            return _leading([receipt.message_id is not None for receipt in self.receipts])
        written = self._written
        broke = written < len(self.tickets) and isinstance(_error(self.tickets[written].written), OutcomeUnknown)
        return written if broke else max(written - 1, 0)

    @property
    def doubtful(self) -> bool:
        """Whether the one after those that arrived may be there."""
        if self.arrived == len(self.pieces):
            return False
        if self.echoes and isinstance(_error(self.receipts[self.arrived].seen), TransientError):
            return False
        return not isinstance(_error(self.tickets[self.arrived].written), TransientError)

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
            self._forget(session, receipts)
            raise
        return Spoken(tuple(pieces), tickets, receipts, session.us.has("echo-message"))

    def mention(self, session: Session, command: str, target: str, pieces: Sequence[str]) -> bool:
        """Queue them without waiting for anything; false if there is no room, and then none is said."""
        receipts = self._receipts(session, target, pieces)
        if session.link.send(*self._lines(session, command, target, receipts)):
            return True
        self._forget(session, receipts)
        return False

    def await_arrival(self, session: Session, spoken: Spoken, target: str, *, surely: bool) -> None:
        """Until they are written and, with echoes or `surely`, the server has them.

        Raises TransientError if the first certainly was not said, OutcomeUnknown if nobody can tell.
        """
        try:
            for ticket in spoken.tickets:
                ticket.written.result()
            if spoken.echoes:
                for receipt in spoken.receipts:
                    receipt.seen.result(self._pace.echo)
            elif surely:
                self._ask(session, target)
        except TimeoutError as error:
            raise OutcomeUnknown("The IRC server did not show us what we said.") from error
        except KcibotError as error:
            if not spoken.arrived and not spoken.doubtful:
                raise TransientError(str(error)) from error
            raise OutcomeUnknown(str(error)) from error

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

    def _forget(self, session: Session, receipts: Sequence[Receipt]) -> None:
        for receipt in receipts:
            session.receipts.forget(receipt)


def _leading(flags: Sequence[bool]) -> int:
    return flags.index(False) if False in flags else len(flags)


def _error(future: Future[str] | Future[None]) -> BaseException | None:
    return future.exception() if future.done() else None
