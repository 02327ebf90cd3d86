"""What the core asks of its store: changes as values, committed together or not at all, and the reading of them.

A state change, its audit entry and the messages that tell of it are one list of changes: one transaction. Only after
that does anything leave the process.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol, TypeVar

from kcibot.core.gate import Ask, Vote
from kcibot.core.message import Incoming, MessageRef, Place
from kcibot.core.notice import Notice
from kcibot.core.run import Run
from kcibot.errors import KcibotError

T = TypeVar("T")


# ---- changes ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SaveRun:
    """The run with all its steps, new or changed."""

    run: Run


@dataclass(frozen=True, slots=True)
class SaveAsk:
    ask: Ask


@dataclass(frozen=True, slots=True)
class SaveVote:
    """One vote per person, network and asking: a later one replaces an earlier one."""

    vote: Vote


class EffectState(StrEnum):
    """REFUSED: the other end certainly did nothing, so it may be tried again without a look. SEEN: nothing was done.

    BROKEN_OFF: a part of it was done, and no more will be.
    """

    SEEN = "seen"
    IN_FLIGHT = "in-flight"
    DONE = "done"
    BROKEN_OFF = "broken-off"
    REFUSED = "refused"


ACTED = frozenset({EffectState.IN_FLIGHT, EffectState.DONE, EffectState.BROKEN_OFF})
"""The world is, or may be, another because of it."""


@dataclass(frozen=True, slots=True)
class Effect:
    """One thing done to the world by one round of a step. `value` is what it returned, as JSON.

    While it is in flight, another process must take its outcome for unknown until `until`, unless it is proven.
    """

    run_id: int
    step_id: str
    round: int
    key: str
    state: EffectState
    at: datetime
    until: datetime
    value: object = None


@dataclass(frozen=True, slots=True)
class SaveEffect:
    effect: Effect


@dataclass(frozen=True, slots=True)
class Say:
    """A message under a key. Saying it again under the same key and place edits it; only the newest text is kept.

    `thread` is the key of the message below which it belongs, where a network has threads. With `amends` it only
    edits: where nothing was said under the key, nothing is.
    """

    key: str
    place: Place
    notice: Notice
    thread: str = ""
    amends: bool = False


@dataclass(frozen=True, slots=True)
class Audit:
    """Who did what to what. `detail` is JSON; its text never holds a secret."""

    at: datetime
    who: str
    what: str
    subject: str = ""
    detail: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Settle:
    """That event of the inbox has been dealt with, whatever came of it."""

    event: Incoming


@dataclass(frozen=True, slots=True)
class Remember:
    """A JSON value kept beyond runs: locks, subscriptions, what a pause disabled."""

    topic: str
    key: str
    value: object


@dataclass(frozen=True, slots=True)
class Forget:
    topic: str
    key: str


@dataclass(frozen=True, slots=True)
class Measured:
    """Something that was watched to its end, kept since the server forgets it within days.

    `kind` says what it was (`build`), `name` what it is compared with over time (the job), `ident` which one it was.
    """

    kind: str
    name: str
    ident: str
    at: datetime
    seconds: float
    result: str


Change = SaveRun | SaveAsk | SaveVote | SaveEffect | Say | Audit | Settle | Remember | Forget | Measured


# ---- reading ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One link of the chain: `hash` covers the entry and `previous`, the hash of the one before."""

    number: int
    entry: Audit
    previous: str
    hash: str


class Codec(Protocol):
    """Typed values to JSON and back. Frozen dataclasses, tuples, mappings, enums, dates and plain values."""

    def dump(self, value: object) -> object: ...

    def load(self, kind: type[T], value: object) -> T:
        """Raises PermanentError if the JSON does not fit the type: the code and the journal disagree."""
        ...

    def read(self, kind: type[T], text: str) -> T:
        """`load` of JSON that is still text."""
        ...


class Journal(Protocol):
    """The store as the core sees it."""

    codec: Codec

    def commit(self, changes: Sequence[Change]) -> None:
        """All of them or none, in order; durable when this returns. Raises Aborted if this process lost the lease."""
        ...

    def submit(self, changes: Sequence[Change], refused: Callable[[KcibotError], None] | None = None) -> None:
        """The same, without waiting; later commits wait for it.

        `refused` is told if nothing of it was recorded, in another thread: it hands over and returns.
        """
        ...

    def new_run_id(self) -> int:
        """A number never given before."""
        ...

    def run(self, run_id: int) -> Run:
        """Raises UserError if there is none."""
        ...

    def open_runs(self) -> tuple[Run, ...]:
        """Runs that have not ended, oldest first."""
        ...

    def runs(self, newest: int) -> tuple[Run, ...]:
        """Newest first, ended or not."""
        ...

    def ask(self, run_id: int, gate_id: str) -> Ask | None:
        """The newest asking of that gate in that run."""
        ...

    def asks(self, run_id: int) -> tuple[Ask, ...]:
        """The newest asking of every gate of that run, in the order in which they were opened."""
        ...

    def open_asks(self) -> tuple[Ask, ...]: ...

    def votes(self, ask: Ask) -> tuple[Vote, ...]: ...

    def effects(self, run_id: int, step_id: str, of_round: int) -> Mapping[str, Effect]:
        """By key."""
        ...

    def effects_in(self, state: EffectState, run_id: int) -> tuple[Effect, ...]:
        """Of all steps and rounds, in the order in which they were begun."""
        ...

    def message_key(self, ref: MessageRef) -> str | None:
        """Under which key that message was said."""
        ...

    def message_refs(self, key: str, network: str) -> tuple[MessageRef, ...]:
        """Where on that network a message stands that was said under that key."""
        ...

    def recall(self, topic: str) -> Mapping[str, object]: ...

    def history(self, kind: str, name: str, newest: int) -> tuple[Measured, ...]:
        """What was measured of that, newest first."""
        ...

    def unsettled(self) -> tuple[Incoming, ...]:
        """Events that were stored and not yet dealt with, in the order in which they came."""
        ...

    def audit_tail(self, newest: int) -> tuple[AuditEntry, ...]:
        """Oldest of them first."""
        ...

    def audit_head(self) -> str:
        """The hash of the newest entry."""
        ...


# ---- outgoing messages -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Undelivered:
    """A message, or the newest text of one, that its network has not seen yet.

    `ref` is set once it was posted: then only an edit is due. `in_flight` means that a post was begun and its end not
    recorded: the network is asked before it is posted again.
    """

    row: int
    version: int
    key: str
    place: Place
    notice: Notice
    thread: str
    ref: MessageRef | None
    in_flight: bool


class Outbox(Protocol):
    """Messages on their way out, one sender thread per network."""

    def posted(self, key: str, place: Place) -> MessageRef | None:
        """Where the message of that key stands in that place; None while it does not."""
        ...

    def undelivered(self, network: str, limit: int = 20, without: Collection[str] = ()) -> tuple[Undelivered, ...]:
        """Urgent notices first, then new messages in the order in which they were said, then edits.

        Those for the channels `without` are left out.

        New messages of one conversation are never given out of order, except that an urgent one may overtake.
        """
        ...

    def sending(self, *messages: Undelivered) -> None:
        """Their posts begin; durable when this returns."""
        ...

    def sent(self, message: Undelivered, ref: MessageRef) -> None:
        """That version has been delivered; recorded soon, in a batch with other things."""
        ...

    def wait(self, network: str, seconds: float) -> None:
        """Return when there may be something to send on that network, at the latest after so long."""
        ...
