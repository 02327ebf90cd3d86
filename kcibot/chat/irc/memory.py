"""What the bot has said on IRC, which keeps nothing: for reactions, for changes of a message, and for `!more`."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from kcibot.chat.irc.changes import NEVER, Said
from kcibot.chat.irc.mouth import Spoken
from kcibot.core.notice import Notice

K = TypeVar("K")
V = TypeVar("V")

MOST = 1000
LONGEST_REST = 500


@dataclass(frozen=True)
class Attempt:
    """Of a message that may have been said in part: its lines, what surely arrived of them, and the last try.

    Of an attempt in another life of the bot nothing is known, and so it has no lines.
    """

    pieces: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    last: Spoken | None = None

    @property
    def ids(self) -> tuple[str, ...]:
        """Of the lines that surely arrived, from the first."""
        return self.before + (self.last.ids if self.last else ())

    def holds(self, line_id: str) -> bool:
        """Whether that is a line of it, at whatever try."""
        return line_id in self.before or bool(self.last and line_id in self.last.all_ids)

    @property
    def complete(self) -> bool:
        return bool(self.pieces) and len(self.ids) == len(self.pieces)

    @property
    def doubtful(self) -> bool:
        """Whether its next line may have been said."""
        return self.last is None or self.last.doubtful


@dataclass(frozen=True)
class Later:
    """A change that has to wait, for a card must not fill the channel."""

    notice: Notice
    at: float


Where = tuple[str, str]
"""A channel, and the key or the id of a message there."""


class Memory:
    """Bounded, and lost with the process: then at most a line too much is said. Used by several threads."""

    def __init__(self) -> None:
        self._attempts: dict[Where, Attempt] = {}
        self._unsaid: dict[Where, str] = {}
        self._swallowed: dict[Where, int] = {}
        self._plain: set[str] = set()
        self._saying = ""
        self._said: dict[Where, Said] = {}
        self._later: dict[Where, Later] = {}
        self._lines: dict[Where, str] = {}
        self._rest: dict[str, tuple[str, ...]] = {}
        self._lock = threading.RLock()

    # ---- whether it was said -----------------------------------------------------------------------------------

    def attempt(self, where: Where) -> Attempt | None:
        """What may have been said of that message, if nobody can tell."""
        with self._lock:
            return self._attempts.get(where)

    def saying(self, channel: str) -> None:
        """A message begins there."""
        with self._lock:
            self._saying = channel

    def doubt(self, where: Where, attempt: Attempt, known_as: str = "") -> None:
        """Nobody can tell. What arrived of a change belongs to the message that changed."""
        with self._lock:
            self._saying = ""
            keep(self._attempts, where, attempt)
            if known_as:
                self._belong(where[0], attempt.ids, known_as)

    def unsaid(self, where: Where) -> None:
        """Nothing of it was sent, or nothing more than was known before."""
        with self._lock:
            self._saying = ""
            if where not in self._attempts:
                keep(self._unsaid, where, "")

    def surely_unsaid(self, where: Where) -> bool:
        """Asked once."""
        with self._lock:
            return self._unsaid.pop(where, None) is not None

    def settled(self, where: Where, ids: Sequence[str], message_id: str) -> None:
        """All of it is there. A reaction to any line of a message is one to the message."""
        with self._lock:
            self._belong(where[0], ids, message_id)
            self._attempts.pop(where, None)
            self._unsaid.pop(where, None)
            self._swallowed.pop(where, None)
            self._saying = ""

    def swallowed(self, where: Where) -> int:
        """How many times by now the server showed nobody a line of it."""
        with self._lock:
            keep(self._swallowed, where, self._swallowed.get(where, 0) + 1)
            return self._swallowed[where]

    def make_plain(self, channel: str) -> None:
        """A line with emphasis was refused there."""
        with self._lock:
            self._plain.add(channel)

    def is_plain(self, channel: str) -> bool:
        with self._lock:
            return channel in self._plain

    def _belong(self, channel: str, ids: Sequence[str], message_id: str) -> None:
        for line_id in ids:
            if line_id:
                keep(self._lines, (channel, line_id), message_id)

    # ---- reactions ---------------------------------------------------------------------------------------------

    def message_of(self, channel: str, line_id: str) -> str:
        with self._lock:
            return self._lines.get((channel, line_id), line_id)

    def is_unsettled(self, channel: str, line_id: str) -> bool:
        """Whether it may be a line of a message that has no id yet, because not all of it is said."""
        with self._lock:
            if (channel, line_id) in self._lines:
                return False
            doubted = (one.holds(line_id) for (where, _), one in self._attempts.items() if where == channel)
            return self._saying == channel or any(doubted)

    # ---- changes -----------------------------------------------------------------------------------------------

    def said(self, where: Where) -> Said:
        with self._lock:
            return self._said.get(where, NEVER)

    def note(self, where: Where, said: Said) -> None:
        """That is what people know of the message now."""
        with self._lock:
            keep(self._said, where, said)
            self._later.pop(where, None)

    def postpone(self, where: Where, later: Later) -> None:
        with self._lock:
            keep(self._later, where, later)

    def drop(self, where: Where) -> None:
        """What was postponed is not true any more."""
        with self._lock:
            self._later.pop(where, None)

    def due(self, now: float) -> list[tuple[Where, Later]]:
        with self._lock:
            return [(where, later) for where, later in self._later.items() if later.at <= now]

    # ---- !more -------------------------------------------------------------------------------------------------

    def set_rest(self, channel: str, rest: Sequence[str]) -> None:
        """The end of the last long answer there."""
        with self._lock:
            self._rest[channel] = tuple(rest[:LONGEST_REST])

    def more(self, channel: str, lines: int) -> tuple[tuple[str, ...], int]:
        """So many lines of it, and how many are left after them."""
        with self._lock:
            rest = self._rest.pop(channel, ())
            if rest[lines:]:
                self._rest[channel] = rest[lines:]
            return rest[:lines], len(rest[lines:])


def keep(where: dict[K, V], key: K, value: V) -> None:
    """As the newest; the oldest is forgotten when there are too many."""
    where.pop(key, None)
    where[key] = value
    if len(where) > MOST:
        del where[next(iter(where))]
