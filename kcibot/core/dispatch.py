"""From an event of the inbox to what it changes: one event, one transaction, whatever comes of it.

Deduplication happened when the event was stored. Here the person is resolved, the line parsed, the authority checked,
and the command called. The event is settled in the same transaction as its reply and its effects, so that a bot killed
in between hears it again and answers once.
"""

import io
import logging
import shlex
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar

from kcibot.core.access import Person
from kcibot.core.command import Command, MissingReason, Outcome, Word
from kcibot.core.engine import Engine
from kcibot.core.gate import Ask, Choice
from kcibot.core.journal import Change, Forget, Remember, Say, Settle
from kcibot.core.message import EventKind, Incoming
from kcibot.core.notice import Level, Notice
from kcibot.core.procedure import Procedure
from kcibot.core.wording import listed
from kcibot.core.world import World
from kcibot.errors import KcibotError, PermanentError, PermissionDenied, UserError

log = logging.getLogger(__name__)

S = TypeVar("S")

APPROVING = frozenset({"+1", "thumbsup", "white_check_mark", "heavy_check_mark", "👍", "✅", "✔", "✔️"})
REJECTING = frozenset({"-1", "thumbsdown", "x", "no_entry", "👎", "❌"})
STRAIGHT = str.maketrans(
    "\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}\N{DOUBLE LOW-9 QUOTATION MARK}"
    "\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}\N{NO-BREAK SPACE}",
    '"""\'\' ',
)
ASKED = "asked"
MINUTE = 60.0
ANSWER_WITHIN = timedelta(minutes=5)


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


class Dispatcher:
    """Deals with one event at a time, in the order in which they were stored.

    `posting` says whether people on that network may see a message whose place is not in the journal yet.
    """

    def __init__(self, world: World, engine: Engine, prefix: str = "!", name: str = "kcibot", flood: int = 0) -> None:
        self._world = world
        self._engine = engine
        self._prefix = prefix
        self._name = name
        self._refusals = Refusals()
        self._flood = Flood(flood)
        self._asked = set(world.journal.recall(ASKED))
        self.posting: Callable[[str], bool] = nobody_posts

    def handle(self, event: Incoming) -> bool:
        """Never raises for what people type; a bug is answered with a reference into the log.

        False if it is too early for the event, which is to be handled again: people may have answered a message whose
        place is not recorded yet, as after a kill right behind the posting. Their vote must not be lost to that.
        """
        if self._too_early(event):
            return False
        with self._world.lock:
            forgotten = self._no_longer_asked(event)
            outcome = self._outcome(event)
            changes = [Settle(event), *forgotten, *outcome.changes, *self._reply(event, outcome.notice)]
            try:
                self._world.journal.commit(changes)
            except PermanentError as error:
                # it would be refused at every start anew, and the bot be deaf for ever
                log.exception("the outcome of an event cannot be recorded")
                self._world.journal.commit([Settle(event), *self._reply(event, Notice(str(error), Level.ERROR))])
                return True
        self._engine.wake(outcome.wake)
        return True

    def _too_early(self, event: Incoming) -> bool:
        """In this order: what was posted when nobody was posting any more has its place in the journal."""
        if event.target is None or not self.posting(event.place.network):
            return False
        return self._world.journal.message_key(event.target) is None

    def _outcome(self, event: Incoming) -> Outcome:
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
        who = _who(event, person)
        beyond = 0 if self._urgent(text) else self._flood.beyond(who, self._world.clock.steady())
        if not beyond:
            return self._command(event, person, text)
        if beyond > 1:
            return Outcome()
        why = f"more than {self._flood.limit} commands in a minute: I ignore the others of {who}"
        return Outcome(Notice(_sentence(why), Level.WARNING), (self._world.audit(who, "flood", event.text[:200]),))

    def _addressed(self, text: str) -> str | None:
        """The command in a line that is meant for the bot, else None."""
        text = text.strip().translate(STRAIGHT)
        for start in (self._prefix, f"@{self._name} ", f"{self._name}: ", f"{self._name}, "):
            if text.lower().startswith(start.lower()) and len(text) > len(start):
                return text[len(start) :].strip().removeprefix(self._prefix)
        return None

    def _command(self, event: Incoming, person: Person, text: str) -> Outcome:
        words = _words(text)
        if not words or not words[0][:1].isalnum():
            return Outcome()
        command, rest = self._world.registry.find(words)
        self._authorise(command, person)
        try:
            arguments = command.bind(rest)
        except MissingReason as error:
            self._asked.add(_asked_key(event, person))
            asked = Remember(
                ASKED, _asked_key(event, person), {"line": text, "at": self._world.clock.now().isoformat()}
            )
            return Outcome(Notice(str(error)), (asked,))
        return command.handler(Call(person, event, self._world, self._engine), **arguments)

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
        age = self._world.clock.now() - datetime.fromisoformat(str(asked["at"]))
        return str(asked["line"]) if age < ANSWER_WITHIN else None

    def _no_longer_asked(self, event: Incoming) -> tuple[Change, ...]:
        """A question is answered by the very next line; after a command, chat is chat again."""
        key = _asked_key(event, self._world.people.resolve(event.place.network, event.identity))
        if event.kind is not EventKind.MESSAGE or key not in self._asked:
            return ()
        self._asked.discard(key)
        return (Forget(ASKED, key),)

    # ---- reactions ---------------------------------------------------------------------------------------------

    def _reaction(self, event: Incoming, person: Person) -> Outcome:
        name = event.text.partition("::")[0].strip(":")
        choice = Choice.APPROVE if name in APPROVING else Choice.REJECT if name in REJECTING else None
        ask = self._ask(event)
        if ask is None or choice is None:
            return Outcome()
        if event.kind is EventKind.REACTION_REMOVED:
            voted = {vote.person for vote in self._world.journal.votes(ask) if not vote.withdrawn}
            if person.id not in voted:
                return Outcome()  # it was no vote, and is not worth a line
            return self._engine.withdraw(ask, person, event.place.network)
        if not person.id:
            raise PermissionDenied(f"I do not know {event.nick}, so the reaction on “{ask.title}” counts for nothing")
        return self._engine.vote(ask, person, event.place.network, choice)

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
        return Outcome(Notice(_sentence(error), Level.WARNING) if count == 1 else None, (audit,))

    def _reply(self, event: Incoming, notice: Notice | None) -> tuple[Change, ...]:
        if notice is None:
            return ()
        return (Say(f"reply:{event.place.network}:{event.event_id}", event.place, notice),)


class Refusals:
    """Counts equal refusals, and says at the 1st, 10th, 100th ... that it is time to tell."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], int] = {}

    def count(self, who: str, what: str) -> int:
        """How many there were, if this one is worth an entry, else 0."""
        self._counts[who, what] = count = self._counts.get((who, what), 0) + 1
        return count if str(count).strip("0") == "1" else 0


class Flood:
    """Counts what every user says in the minute before; what is ignored does not count. A limit of 0 is none."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._heard: dict[str, deque[float]] = {}
        self._ignored: dict[str, int] = {}

    def beyond(self, who: str, now: float) -> int:
        """How many in a row were too many by `now` (seconds), this one included; 0 if it is to be answered."""
        heard = self._heard.setdefault(who, deque())
        while heard and now - heard[0] >= MINUTE:
            heard.popleft()
        if self.limit and len(heard) >= self.limit:
            self._ignored[who] = self._ignored.get(who, 0) + 1
            return self._ignored[who]
        heard.append(now)
        self._ignored.pop(who, None)
        return 0


def _words(text: str) -> tuple[str, ...]:
    """Split as a shell would; a line with an odd quote in it, as people write, is split at blanks."""
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


def _asked_key(event: Incoming, person: Person) -> str:
    return f"{event.place} {person.id}"


def _who(event: Incoming, person: Person) -> str:
    return person.id or f"{event.place.network} user {event.nick}"


def _sentence(error: Exception | str) -> str:
    text = str(error)
    return text[:1].upper() + text[1:]
