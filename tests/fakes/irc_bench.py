"""The bot's side of the scripted IRC server: an adapter in a hurry, and what it reports to."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

from kcibot.chat.irc.adapter import IrcChat
from kcibot.chat.irc.pace import Pace
from kcibot.chat.irc.settings import IrcSettings, Mechanism
from kcibot.core.message import Incoming, Place
from tests.fakes.inbox import MemoryInbox
from tests.fakes.irc_server import Client, IrcServer, until

ROOM = Place("irc", "#rel")
HASTY = Pace(
    first_wait=0.02,
    longest_wait=0.1,
    rejoin=0.05,
    regain=0.05,
    patience=3.0,
    echo=0.5,
    lookup=0.5,
    card=0.4,
    silence=60.0,
    courtesy=60.0,
    tick=0.01,
)
PLAIN = {"mechanism": Mechanism.PLAIN, "account": "relbot", "password": lambda: "s3cret"}


class Ear(MemoryInbox):
    """Keeps what it hears; `connections` counts how often the network said that it is there."""

    def __init__(self) -> None:
        super().__init__()
        self.connections = 0

    def hand_over(self, event: Incoming) -> None:
        self.accept(event)

    def connected(self, network: str) -> None:
        self.connections += 1

    def heard(self, number: int = 1) -> Incoming:
        """The so-manyth event, counted from 1."""
        until(lambda: len(self.events) >= number, lambda: f"only {self.events}")
        return self.events[number - 1]


def settings(server: IrcServer, /, **changes: object) -> IrcSettings:
    plain = IrcSettings(
        "127.0.0.1",
        server.port,
        ("#rel",),
        nick="relbot",
        tls=False,
        rate=1000.0,
        burst=100,
        timeout=timedelta(seconds=5),
        ping=timedelta(seconds=30),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


@contextmanager
def irc_chat(server: IrcServer, pace: Pace = HASTY, /, **changes: object) -> Iterator[tuple[IrcChat, Ear]]:
    """An adapter that is being connected."""
    chat, ear = IrcChat(settings(server, **changes), lambda person: f"{person}-account", pace), Ear()
    chat.start(ear)
    try:
        yield chat, ear
    finally:
        chat.stop()


@contextmanager
def joined(server: IrcServer, pace: Pace = HASTY, /, **changes: object) -> Iterator[tuple[IrcChat, Ear, Client]]:
    """An adapter that is there, and the server's view of it."""
    with irc_chat(server, pace, **changes) as (chat, ear):
        until(lambda: ear.connections > 0, lambda: f"never connected: {chat.last_error}")
        yield chat, ear, server.client()


def person(nick: str, account: str | None = None, **tags: str) -> str:
    """The beginning of a line of somebody, with a tag for their account if they have one."""
    every = {**({"account": account} if account else {}), **tags}
    text = ";".join(f"{key.replace('__', '/')}={value}" for key, value in every.items())
    return f"{'@' + text + ' ' if text else ''}:{nick}!u@h"


def said(client: Client, target: str = "#rel", command: str = "PRIVMSG") -> list[str]:
    """Texts that came from the bot."""
    lines = [line.split(" ", 1)[1] if line.startswith("@") else line for line in list(client.got)]
    begin = f"{command} {target} :"
    return [line.removeprefix(begin) for line in lines if line.startswith(begin)]


def plain(texts: list[str]) -> list[str]:
    return [text.replace("\x02", "").replace("\x0f", "") for text in texts]
