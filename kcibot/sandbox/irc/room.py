"""The sandbox's room on IRC: a network on this machine, an account for each person, and how to come in."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kcibot.sandbox.config_text import Network
from kcibot.sandbox.irc.config import MODULES, TIMES
from kcibot.sandbox.irc.network import IrcNetwork, free_port
from kcibot.sandbox.irc.person import HOST, IrcPerson
from kcibot.sandbox.irc.voice import IrcVoice

CHANNEL = "#kernelci"
BOT = "kcibot"
PASSWORD_FILE = "irc-password"
USUAL_PORT, USUAL_TLS_PORT = 6667, 6697

CONFIG = """\
  irc:
    server: localhost
    port: {port}
    ca_file: "{ca_file}"
    nick: {bot}
    sasl: {{account: {bot}, password: {{file: secrets/{file}}}}}
    rate: 50.0
    burst: 50
"""

WELCOME = """\
The same room is on IRC, for every client: /join {channel} at {host}, port {port}, or port {tls_port} with TLS. The
server signed its certificate itself: {ca_file}
Log in as one of these, by SASL PLAIN or with /msg NickServ IDENTIFY ACCOUNT PASSWORD:
{accounts}
Without an account you are a passer-by there. Approve a prompt with  !approve CODE , or by a reaction where your
client has them.
"""


@dataclass(frozen=True)
class IrcRoom:
    """Where the room is, and the password of each account. Fulfils `voices.Elsewhere`."""

    server: IrcNetwork
    passwords: Mapping[str, str]

    @property
    def network(self) -> Network:
        block = CONFIG.format(port=self.server.tls_port, ca_file=self.server.ca_file, bot=BOT, file=PASSWORD_FILE)
        return Network(f"irc:{CHANNEL}", block)

    @property
    def welcome(self) -> str:
        """For any client."""
        width = max(map(len, self.passwords))
        rows = (f"  {name:{width}}  {word}" for name, word in self.passwords.items() if name != BOT)
        return WELCOME.format(
            channel=CHANNEL,
            host=HOST,
            port=self.server.port,
            tls_port=self.server.tls_port,
            ca_file=self.server.ca_file,
            accounts="\n".join(rows),
        )

    def remarks(self) -> list[str]:
        """A server says what it minds to the bot itself."""
        return []

    def voice(self, person: str) -> IrcVoice:
        """The owner of that account."""
        there = IrcPerson(self.server.tls_port, person, person, self.passwords[person], self.server.ca_file)
        there.join(CHANNEL)
        found = IrcVoice(there, CHANNEL, BOT)
        found.meet()
        return found


@contextmanager
def irc_room(folder: Path, persons: tuple[str, ...]) -> Iterator[IrcRoom]:
    """It is there, with an account for each of them and the bot. Passwords are kept below `folder`.

    Raises UserError with what to install where the programs of the network are not here.
    """
    modules = [name for name in MODULES if name != TIMES]  # the sandbox has a time of its own
    network = IrcNetwork(modules=modules, port=free_port(USUAL_PORT), tls_port=free_port(USUAL_TLS_PORT))
    try:
        network.start()
        passwords = {name: _password(folder / "secrets", name) for name in (BOT, *persons)}
        network.register(passwords)
        yield IrcRoom(network, passwords)
    finally:
        network.stop()


def _password(folder: Path, account: str) -> str:
    """The same one at every start, so that a client can keep it."""
    path = folder / (PASSWORD_FILE if account == BOT else f"{PASSWORD_FILE}-{account}")
    if not path.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(6))
    return path.read_text()
