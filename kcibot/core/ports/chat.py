"""Chat networks, and the inbox that they fill."""

from dataclasses import dataclass
from typing import Protocol

from kcibot.core.message import Incoming, MessageRef, Place
from kcibot.core.notice import Notice


@dataclass(frozen=True, slots=True)
class Reaction:
    """One person's reaction to a message, as it stands now; `identity` and `nick` as in `Incoming`."""

    identity: str
    nick: str
    name: str


class Inbox(Protocol):
    """Where an adapter puts what it hears."""

    def accept(self, event: Incoming) -> bool:
        """Store the event durably; false if it was stored before. Only after this may the network be acknowledged."""
        ...

    def hand_over(self, event: Incoming) -> None:
        """As `accept`, without waiting, for networks that want no acknowledgement."""
        ...

    def last_event(self, network: str) -> str | None:
        """Id of the newest stored event of that network, in the order in which they were accepted."""
        ...


class Listener(Inbox, Protocol):
    """What an adapter reports to."""

    def connected(self, network: str) -> None:
        """The network is there, or there again, and what was missed of its lines was delivered.

        Called in the adapter's own thread, which may take a moment: votes that were cast meanwhile are looked for.
        """
        ...


class ChatAdapter(Protocol):
    """One chat network. `post` and `edit` are called by one sender thread per network."""

    network: str

    def start(self, listener: Listener) -> None:
        """Connect and listen on a thread of its own; missed events are delivered where the network keeps them."""
        ...

    def stop(self) -> None: ...

    def post(self, place: Place, notice: Notice, key: str, thread: MessageRef | None = None) -> MessageRef:
        """Say it once. `key` identifies the message for `find`, and is not shown.

        `thread` is the message below which it belongs, for networks that have threads.
        """
        ...

    def edit(self, ref: MessageRef, notice: Notice) -> None: ...

    def find(self, place: Place, key: str) -> MessageRef | None:
        """The message posted under `key`, or None if there certainly is none."""
        ...

    def reactions(self, ref: MessageRef) -> tuple[Reaction, ...] | None:
        """Every reaction of others to that message as it stands; None where the network does not keep them."""
        ...
