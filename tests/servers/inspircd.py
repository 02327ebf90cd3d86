"""An IRC network: InspIRCd with atheme services, TLS with a certificate of its own, SASL, and accounts."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from kcibot.sandbox.irc.config import Flood
from kcibot.sandbox.irc.network import PACKAGES, IrcNetwork
from tests.servers.floor import needed

BOT = "kcibot"
PERSONS = ("operator", "manager-1", "manager-2", "observer")


def password(account: str) -> str:
    """Of every account that `irc_network` makes."""
    return f"the-word-of-{account}"


@contextmanager
def irc_network(accounts: Sequence[str] = (BOT, *PERSONS), flood: Flood = Flood.OFF) -> Iterator[IrcNetwork]:
    """It runs, and has those accounts."""
    needed(["inspircd", "atheme-services", "setpriv"], PACKAGES)
    network = IrcNetwork(flood)
    try:
        network.start()
        network.register({account: password(account) for account in accounts})
        yield network
    finally:
        network.stop()
