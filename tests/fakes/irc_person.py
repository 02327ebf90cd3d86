"""Persons on the IRC network of a test: each has the account that was made for them, or none."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from kcibot.sandbox.irc.network import IrcNetwork
from kcibot.sandbox.irc.person import IrcPerson, Seen
from tests.servers.inspircd import BOT, password

CHANNEL = "#kernelci"
THUMB = "👍"
PATIENCE_SECONDS = 30.0


@contextmanager
def come(network: IrcNetwork, *accounts: str) -> Iterator[tuple[IrcPerson, ...]]:
    """Those accounts' owners, under the same nicks, over TLS, in the channel with the bot."""
    with ThreadPoolExecutor(len(accounts)) as pool:  # the server takes a second to let somebody in
        persons = tuple(pool.map(lambda account: owner(network, account), accounts))
    try:
        for person in persons:
            person.join(CHANNEL)
            meet(person)
        yield persons
    finally:
        for person in persons:
            person.close()


def owner(network: IrcNetwork, account: str, nick: str = "") -> IrcPerson:
    """Logged in, and nowhere yet."""
    return IrcPerson(network.tls_port, nick or account, account, password(account), network.ca_file)


@contextmanager
def stranger(port: int, nick: str) -> Iterator[IrcPerson]:
    """Somebody without an account, in the channel."""
    person = IrcPerson(port, nick)
    try:
        person.join(CHANNEL)
        yield person
    finally:
        person.close()


def meet(person: IrcPerson, bot: str = BOT) -> None:
    """Wait until the bot is in the channel."""

    def is_here(one: Seen) -> bool:
        return (one.command == "JOIN" and one.nick == bot) or (
            one.command == "353" and bot in (name.lstrip("@+") for name in one.text.split())
        )

    person.wait(is_here)


def hear(person: IrcPerson, text: str, after: int = 0, bot: str = BOT, seconds: float = PATIENCE_SECONDS) -> Seen:
    """What the bot said, as soon as that is in it."""
    return person.wait_for_text(text, bot, after, seconds)


def ask(person: IrcPerson, line: str, text: str) -> Seen:
    """Say a line, and wait for an answer of the bot with that text."""
    mark = person.mark
    person.say(CHANNEL, line)
    return hear(person, text, mark)


def quiet(person: IrcPerson, bot: str = BOT) -> None:
    """The bot is not in the channel."""
    mark = person.mark
    person.send(f"NAMES {CHANNEL}")
    names = person.wait(lambda one: one.command == "353", mark).text.split()
    assert bot not in {name.lstrip("@+") for name in names}
