"""Chat networks, and the inbox that they fill."""

from typing import Protocol

from kcibot.core.message import Incoming, MessageRef, Place
from kcibot.core.notice import Notice


class Inbox(Protocol):
    """Where an adapter puts what it hears."""

    def accept(self, event: Incoming) -> bool:
        """Store the event durably; false if it was stored before. Only after this may the network be acknowledged."""
        ...

    def last_event(self, network: str) -> str | None:
        """Id of the newest stored event of that network, in the order in which they were accepted."""
        ...


class ChatAdapter(Protocol):
    """One chat network. `post` and `edit` are called by one sender thread per network."""

    network: str

    def start(self, inbox: Inbox) -> None:
        """Connect and listen on a thread of its own; missed events are delivered where the network keeps them."""
        ...

    def stop(self) -> None: ...

    def post(self, place: Place, notice: Notice, key: str) -> MessageRef:
        """Say it once. `key` identifies the message for `find`, and is not shown."""
        ...

    def edit(self, ref: MessageRef, notice: Notice) -> None: ...

    def find(self, place: Place, key: str) -> MessageRef | None:
        """The message posted under `key`, or None if there certainly is none."""
        ...
