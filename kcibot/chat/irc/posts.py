"""Saying a message once, as well as that can be done where nothing is kept: at most a line is repeated, with a mark."""

import itertools
import logging
import time

from kcibot.chat.irc.lines import unemphasised
from kcibot.chat.irc.memory import Attempt, Memory, Where
from kcibot.chat.irc.mouth import AGAIN, Mouth, Spoken, Swallowed
from kcibot.chat.irc.pace import Pace
from kcibot.chat.irc.session import Session
from kcibot.core.notice import URGENT, Level
from kcibot.errors import KcibotError, PermanentError, TransientError

log = logging.getLogger(__name__)

TRIES = 3


class Posts:
    """`where` is channel and key of a message."""

    def __init__(self, memory: Memory, mouth: Mouth, pace: Pace) -> None:
        self._memory = memory
        self._mouth = mouth
        self._pace = pace
        self._begun = f"{time.time_ns():x}"
        self._numbers = itertools.count(1)

    def say(
        self,
        session: Session,
        command: str,
        target: str,
        where: Where,
        pieces: tuple[str, ...],
        level: Level,
        known_as: str = "",
    ) -> str:
        """What of these lines is not there yet. The id of the message: `known_as`, or that of its last line.

        Raises TransientError if nothing was said, OutcomeUnknown if nobody can tell, PermanentError if the server
        takes these words again and again and shows them to nobody.
        """
        if self._memory.is_plain(where[0]):
            pieces = tuple(map(unemphasised, pieces))
        before, again = self._before(where, pieces)
        left = pieces[len(before) :]
        if again:
            left = (AGAIN + left[0], *left[1:])
        self._memory.saying(where[0])
        spoken = self._spoken(session, command, target, where, left)
        attempt = Attempt(pieces, before, spoken)
        surely = level in URGENT or session.link.silent_for > self._pace.silence
        try:
            self._mouth.await_arrival(session, spoken, target, surely=surely)
        except TransientError:
            self._memory.unsaid(where)
            raise
        except KcibotError as error:
            self._memory.doubt(where, attempt, known_as)
            if isinstance(error, Swallowed) and self._gives_up(where):
                return self._named(where, attempt.ids or ("",), known_as)
            raise
        finally:
            if spoken.emphasis_refused and not session.link.closed.is_set():
                self._memory.make_plain(where[0])
            self._fill_in(session, command, target, spoken)
        return self._named(where, before + spoken.all_ids, known_as)

    def _fill_in(self, session: Session, command: str, target: str, spoken: Spoken) -> None:
        """Once more, and without emphasis, what the server left out; not all for the sake of one line."""
        if spoken.left_out:
            log.warning("irc: of a message in %s the server did not pass on %s lines", target, len(spoken.left_out))
            texts = [unemphasised(one.text) for one in spoken.left_out]
            self._mouth.forget(session, spoken.left_out)
            self._mouth.mention(session, command, target, texts)

    def _gives_up(self, where: Where) -> bool:
        """A server that shows nobody some words, for whatever it has against them, must not silence us for good.

        Raises PermanentError when it is time to try it with other words; true when those are swallowed, too.
        """
        times = self._memory.swallowed(where)
        if times == TRIES:
            raise PermanentError(f"the IRC server swallowed it {times} times")
        if times >= 2 * TRIES:
            log.error("irc: the server swallows what is said in %s: %s was not said", *where)
        return times >= 2 * TRIES

    def _spoken(self, session: Session, command: str, target: str, where: Where, pieces: tuple[str, ...]) -> Spoken:
        try:
            return self._mouth.say(session, command, target, pieces)
        except TransientError:
            self._memory.unsaid(where)
            raise

    def found(self, where: Where) -> str | None:
        """The id of the message if all of its lines are there after all: an echo may have come late.

        None otherwise; then, unless it surely was not said, the next saying has a mark.
        """
        attempt = self._memory.attempt(where)
        if attempt and attempt.complete:
            return self._named(where, attempt.ids, "")
        if attempt is None and not self._memory.surely_unsaid(where):
            self._memory.doubt(where, Attempt())
        return None

    def unnamed(self) -> str:
        """An id for what the network gives none, which no reaction can name."""
        return f"sent-{self._begun}-{next(self._numbers)}"

    def _before(self, where: Where, pieces: tuple[str, ...]) -> tuple[tuple[str, ...], bool]:
        """Ids of the first lines that are there, and whether the next one may be. New words are all said."""
        attempt = self._memory.attempt(where)
        if attempt is None:
            return (), False
        if attempt.pieces != pieces or attempt.complete:
            return (), attempt.doubtful
        return attempt.ids, attempt.doubtful

    def _named(self, where: Where, ids: tuple[str, ...], known_as: str) -> str:
        message_id = known_as or ids[-1] or self.unnamed()
        self._memory.settled(where, ids, message_id)
        return message_id
