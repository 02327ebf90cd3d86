"""From an event of the inbox to what it changes: one event, one transaction, whatever comes of it.

Deduplication happened when the event was stored. Here the person is resolved, the line parsed, the authority checked,
and the command called. The event is settled in the same transaction as its reply and its effects, so that a bot killed
in between hears it again and answers once.
"""

import io
import logging
import re
import shlex
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar

from kcibot.core.access import Person
from kcibot.core.command import Command, MissingReason, Outcome, Word
from kcibot.core.early import Early
from kcibot.core.engine import Engine
from kcibot.core.flood import Flood, Refusals, counted_as
from kcibot.core.gate import Ask, AskState
from kcibot.core.journal import Change, Forget, Remember, Say, Settle
from kcibot.core.message import EventKind, Incoming
from kcibot.core.notice import Level, Notice
from kcibot.core.procedure import Procedure
from kcibot.core.reactions import choice_of
from kcibot.core.relay import Sees
from kcibot.core.wording import listed, moment
from kcibot.core.world import World
from kcibot.errors import KcibotError, PermanentError, PermissionDenied, UserError

log = logging.getLogger(__name__)

S = TypeVar("S")

STRAIGHT = str.maketrans(
    "\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}\N{DOUBLE LOW-9 QUOTATION MARK}"
    "\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}\N{NO-BREAK SPACE}",
    '"""\'\' ',
)
SPECIAL = re.compile(r"['\"\\]")
"""What makes a shell's splitting differ from splitting at blanks, which takes a fraction of the time."""
BLANKS = re.compile("[ \t\r\n]+")
PREFIX = "!"
ASKED = "asked"
SHOWN = 200
ANSWER_WITHIN = timedelta(minutes=5)
CLOCKS_DIFFER = timedelta(seconds=10)
"""A network's clock and ours. A line of longer ago was said before the question, and found after an absence."""


@dataclass(frozen=True)
class Call:
    """What a command is given: who called it, from where, and what it may read and decide with."""

    person: Person
    event: Incoming
    world: World
    engine: Engine

    def settings(self, kind: type[S]) -> S:
        return self.world.settings(kind)

    def start(self, procedure: Procedure, title: str = "", args: object = None) -> Outcome:
        """Start a run of that procedure in the name of the caller."""
        return self.engine.start(procedure, self.person, self.event.place, title, args)

    def audited(self, outcome: Outcome, what: str, subject: str = "", **detail: object) -> Outcome:
        """The same outcome with an audit entry of the caller's."""
        entry = self.world.audit(self.person.id, what, subject, **detail)
        return replace(outcome, changes=(*outcome.changes, entry))


def nobody_posts(_network: str) -> bool:
    """Every message that people can see has its place in the journal."""
    return False


def nobody_to_tell(error: KcibotError) -> None:
    """The event is unsettled, and heard again at the next start."""
    log.error("an answer could not be recorded: %s", error)


class Dispatcher:
    """Deals with one event at a time, in the order in which they were stored.

    A command that was typed longer ago than `stale_after` is reported and not run, unless it only holds things back.
    `posting` says whether people on that network may see a message whose place is not in the journal yet. With
    `answers_wait` also what only answers is in the journal when `handle` returns; without it, `broken` is told if the
    journal takes nothing any more.
    """

    def __init__(
        self,
        world: World,
        engine: Engine,
        name: str = "kcibot",
        flood: int = 0,
        stale_after: timedelta = timedelta.max,
    ) -> None:
        self._world = world
        self._engine = engine
        self._name = name
        self._refusals = Refusals()
        self._flood = Flood(flood)
        self._reactions = Flood(flood)
        self._stale_after = stale_after
        self._early = Early(world.clock.steady)
        self._asked = set(world.journal.recall(ASKED))
        self.posting: Callable[[str], bool] = nobody_posts
        self.answers_wait = True
        self.broken: Callable[[KcibotError], None] = nobody_to_tell

    def handle(self, event: Incoming) -> bool:
        """Never raises for what people type; a bug is answered with a reference into the log.

        False if it is too early for the event, which is to be handled again: people may have answered a message whose
        place is not recorded yet, as after a kill right behind the posting. Their vote must not be lost to that.
        """
        if self._early.waits(event, lambda: self._may_be_known_soon(event)):
            return False
        with self._world.lock:
            forgotten = self._no_longer_asked(event)
            outcome = self._outcome(event)
            told = (*self._reply(event, outcome.notice), *self._elsewhere(event, outcome))
            changes = [Settle(event), *forgotten, *outcome.changes, *told]
            only_answers = not (forgotten or outcome.changes or outcome.wake)
            try:
                if only_answers and not self.answers_wait:
                    self._answer(event, changes)
                else:
                    self._world.journal.commit(changes)
            except PermanentError as error:
                # it would be refused at every start anew, and the bot be deaf for ever
                log.exception("the outcome of an event cannot be recorded")
                self._world.journal.commit([Settle(event), *self._reply(event, Notice(str(error), Level.ERROR))])
                return True
        self._engine.wake(outcome.wake)
        return True

    def _answer(self, event: Incoming, changes: Sequence[Change]) -> None:
        """What only answers decides nothing for the next event, which does not wait until it is on disk.

        It leaves the bot once it is there all the same: the outbox is told of it then.
        """

        def refused(error: KcibotError) -> None:
            if isinstance(error, PermanentError):
                log.error("the answer to an event cannot be recorded: %s", error)
                self._world.journal.submit([Settle(event), *self._reply(event, Notice(str(error), Level.ERROR))])
            else:
                self.broken(error)

        self._world.journal.submit(changes, refused)

    def concerns(self, event: Incoming) -> bool:
        """Whether it is worth being stored: people talk of other things too, and some talk a thousand times a second.

        Called from the networks' threads, before the event is in the inbox.
        """
        if not self._is_served(event):
            return False
        if event.kind is not EventKind.MESSAGE:
            return event.target is not None and choice_of(event.text) is not None and not self._too_many(event)
        person = self._world.people.resolve(event.place.network, event.identity)
        text = self._addressed(event.text)
        if text is None:
            return _asked_key(event, person) in self._asked
        told = self._flood.told(_counted_as(event, person), self._world.clock.steady())
        return not told or self._urgent(text)

    def _too_many(self, event: Incoming) -> bool:
        """Whether they react beyond the limit. What somebody takes back is heard all the same, if it can be a vote."""
        person = self._world.people.resolve(event.place.network, event.identity)
        beyond = self._reactions.beyond(_counted_as(event, person), self._world.clock.steady())
        if beyond == 1:
            log.warning("%s reacts more than %s times in a minute", _who(event, person), self._reactions.limit)
        may_have_voted = person.id and event.kind is EventKind.REACTION_REMOVED
        return bool(beyond) and not may_have_voted

    def _may_be_known_soon(self, event: Incoming) -> bool:
        """In this order: what was posted when nobody was posting any more has its place in the journal."""
        if event.target is None or not self.posting(event.place.network):
            return False
        return self._world.journal.message_key(event.target) is None

    def _is_served(self, event: Incoming) -> bool:
        """Whether it happened in one of the rooms: elsewhere others may not see what the bot is told to do."""
        return event.place in self._world.rooms

    def _outcome(self, event: Incoming) -> Outcome:
        if not self._is_served(event):
            return Outcome()
        person = self._world.people.resolve(event.place.network, event.identity)
        try:
            if event.kind is EventKind.MESSAGE:
                return self._line(event, person)
            return self._reaction(event, person)
        except PermissionDenied as error:
            return self._refused(event, person, error)
        except KcibotError as error:
            return Outcome(Notice(_sentence(error), Level.ERROR))
        except Exception:
            reference = uuid.uuid4().hex[:8]
            log.exception("unexpected error in a command, reference %s", reference)
            return Outcome(
                Notice(f"Something went wrong that I did not expect; the log has it under {reference}", Level.ERROR)
            )

    # ---- lines -------------------------------------------------------------------------------------------------

    def _line(self, event: Incoming, person: Person) -> Outcome:
        text = self._addressed(event.text)
        if text is None:
            waiting = self._question(event, person)
            return self._command(event, person, f"{waiting} {event.text.strip()}") if waiting else Outcome()
        them = _counted_as(event, person)
        beyond = 0 if self._urgent(text) else self._flood.beyond(them, self._world.clock.steady())
        if not beyond:
            return self._command(event, person, text)
        if beyond > 1:
            return Outcome()
        who = _who(event, person)
        whose = who if event.identity else them
        why = f"more than {self._flood.limit} commands in a minute: I ignore the others of {whose}"
        return Outcome(Notice(_sentence(why), Level.WARNING), (self._world.audit(who, "flood", event.text[:200]),))

    def _addressed(self, text: str) -> str | None:
        """The command in a line that is meant for the bot, else None."""
        text = text.strip().translate(STRAIGHT)
        for start in (PREFIX, f"@{self._name} ", f"{self._name}: ", f"{self._name}, "):
            if text.lower().startswith(start.lower()) and len(text) > len(start):
                return text[len(start) :].strip().removeprefix(PREFIX)
        return None

    def _command(self, event: Incoming, person: Person, text: str) -> Outcome:
        words = _words(text)
        if not words or not words[0][:1].isalnum():
            return Outcome()
        command, rest = self._world.registry.find(words)
        self._authorise(command, person)
        if self._stale(event) and not (command.urgent or command.only_holds):
            return Outcome(self._too_old(event))
        try:
            arguments = command.bind(rest)
        except MissingReason as error:
            self._asked.add(_asked_key(event, person))
            asked = Remember(
                ASKED, _asked_key(event, person), {"line": text, "at": self._world.clock.now().isoformat()}
            )
            return Outcome(Notice(str(error)), (asked,))
        return command.handler(Call(person, event, self._world, self._engine), **arguments)

    def _stale(self, event: Incoming) -> bool:
        return self._world.clock.now() - event.at > self._stale_after

    def _too_old(self, event: Incoming) -> Notice:
        """What was typed while the bot was away may not be what people want by now."""
        when = moment(event.at, self._world.clock.now())
        said = event.text.strip()[:SHOWN]
        return Notice(f"I was away when {event.nick} typed “{said}”, {when}: it was not done", Level.WARNING)

    def _urgent(self, text: str) -> bool:
        words = _words(text)
        command = self._world.registry.commands.get(words[0]) if words else None
        return command is not None and command.urgent

    def _authorise(self, command: Command, person: Person) -> None:
        if self._world.people.may(person, command.role):
            return
        who = listed([p.id for p in self._world.people.having(command.role)]) or "nobody yet"
        raise PermissionDenied(f"!{command.name} needs the role {command.role} ({who})")

    def _question(self, event: Incoming, person: Person) -> str | None:
        """The command for which that person was just asked a reason, there."""
        asked = self._world.journal.recall(ASKED).get(_asked_key(event, person))
        if not isinstance(asked, dict) or not person.id or not event.text.strip():
            return None
        asked_at = datetime.fromisoformat(str(asked["at"]))
        answers = asked_at - CLOCKS_DIFFER <= event.at and self._world.clock.now() - asked_at < ANSWER_WITHIN
        return str(asked["line"]) if answers else None

    def _no_longer_asked(self, event: Incoming) -> tuple[Change, ...]:
        """A question is answered by the very next line; after a command, chat is chat again."""
        key = _asked_key(event, self._world.people.resolve(event.place.network, event.identity))
        if event.kind is not EventKind.MESSAGE or key not in self._asked:
            return ()
        self._asked.discard(key)
        return (Forget(ASKED, key),)

    # ---- reactions ---------------------------------------------------------------------------------------------

    def _reaction(self, event: Incoming, person: Person) -> Outcome:
        choice = choice_of(event.text)
        ask = self._ask(event)
        if ask is None or choice is None:
            return Outcome()
        votes = [vote for vote in self._world.journal.votes(ask) if vote.person == person.id and not vote.withdrawn]
        if event.kind is EventKind.REACTION_REMOVED:
            if not votes:
                return Outcome()  # it was no vote, and is not worth a line
            return self._engine.withdraw(ask, person, event.place.network)
        if not person.id:
            raise PermissionDenied(f"I do not know {event.nick}, so the reaction on “{ask.title}” counts for nothing")
        if ask.state is not AskState.OPEN and choice in {vote.choice for vote in votes}:
            return Outcome()  # it was counted: the network told of it twice, or there is another sign beside it
        return self._engine.vote(ask, person, event.place.network, choice, reacted=True)

    def _ask(self, event: Incoming) -> Ask | None:
        """The asking whose prompt the reaction points at; an old prompt names an old asking, which is over."""
        key = self._world.journal.message_key(event.target) if event.target else None
        parts = (key or "").split(":gate:")
        if len(parts) != 2 or not parts[0].startswith("run:"):  # noqa: PLR2004 (a key has a run and a gate)
            return None
        gate_id, _, number = parts[1].rpartition(":")
        ask = self._world.journal.ask(int(parts[0].removeprefix("run:")), gate_id)
        if ask and number.isdigit() and ask.ask != int(number):
            raise UserError(f"that prompt is out of date; the one to answer has the digest {ask.code}")
        return ask

    # ---- answers -----------------------------------------------------------------------------------------------

    def _refused(self, event: Incoming, person: Person, error: PermissionDenied) -> Outcome:
        """Answered once per thing refused; audited as one entry with a count when it goes on."""
        who = _who(event, person)
        count = self._refusals.count(who, str(error))
        if not count:
            return Outcome()
        audit = self._world.audit(who, "refused", event.text[:200], why=str(error), times=count)
        refusal = Notice(_sentence(error), Level.WARNING, whisper=event.identity or event.nick)
        return Outcome(refusal if count == 1 else None, (audit,))

    def _reply(self, event: Incoming, notice: Notice | None) -> tuple[Change, ...]:
        if notice is None:
            return ()
        return (Say(f"reply:{event.place.network}:{event.event_id}", event.place, notice),)

    def _elsewhere(self, event: Incoming, outcome: Outcome) -> Iterator[Change]:
        """What a command did is seen in the other rooms too: who gave it where, and the first line of the answer."""
        whispered = outcome.notice is not None and bool(outcome.notice.whisper)
        if event.kind is not EventKind.MESSAGE or whispered or all(map(_is_question, outcome.changes)):
            return
        said = (outcome.notice.title,) if outcome.notice else ()
        who = self._world.people.resolve(event.place.network, event.identity).id or f"{event.nick} (unknown)"
        notice = Notice(f"{who} on {event.place.network}: {event.text.strip()[:SHOWN]}", lines=said)
        for place in self._world.rooms:
            if place != event.place and self._world.sees(place.network) is Sees.ALL:
                yield Say(f"heard:{event.place.network}:{event.event_id}", place, notice)


def _words(text: str) -> tuple[str, ...]:
    """Split as a shell would; a line with an odd quote in it, as people write, is split at blanks."""
    if not SPECIAL.search(text):
        return tuple(Word(word, word) for word in BLANKS.split(text) if word)
    source = io.StringIO(text)
    lexer = shlex.shlex(source, posix=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    words: list[Word] = []
    begin = 0
    try:
        while (word := lexer.get_token()) is not None:
            end = source.tell()  # behind the blank that ended the word
            words.append(Word(word, text[begin:end].strip()))
            begin = end
    except ValueError:
        return tuple(text.split())
    return tuple(words)


def _is_question(change: Change) -> bool:
    """That a reason was asked for."""
    return isinstance(change, Remember) and change.topic == ASKED


def _asked_key(event: Incoming, person: Person) -> str:
    return f"{event.place} {person.id}"


def _counted_as(event: Incoming, person: Person) -> str:
    return counted_as(event.place.network, person.id, event.identity)


def _who(event: Incoming, person: Person) -> str:
    """Nicks can be anybody's: beside them is what the network vouches for, if it does."""
    vouched = f" ({event.identity})" if event.identity not in ("", event.nick) else ""
    return person.id or f"{event.place.network} user {event.nick}{vouched}"


def _sentence(error: Exception | str) -> str:
    text = str(error)
    return text[:1].upper() + text[1:]
