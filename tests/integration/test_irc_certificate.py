"""Logging in to real services by a certificate of ours (SASL EXTERNAL)."""

import hashlib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kcibot.chat.irc.adapter import IrcChat
from kcibot.chat.irc.settings import IrcSettings, Mechanism
from kcibot.sandbox.certificate import new_certificate
from kcibot.sandbox.irc import config as irc_config
from kcibot.sandbox.irc.network import PACKAGES, IrcNetwork
from tests.fakes.irc_bench import HASTY, Ear
from tests.fakes.irc_person import CHANNEL, owner, stranger
from tests.fakes.irc_server import until
from tests.servers.floor import needed
from tests.servers.inspircd import BOT, password

TELLS_FINGERPRINTS, KEEPS_FINGERPRINTS = "sslinfo", "nickserv/cert"


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Iterator[IrcNetwork]:
    needed(["inspircd", "atheme-services", "setpriv"], PACKAGES)
    monkeypatch.setattr(irc_config, "SERVICES_MODULES", (*irc_config.SERVICES_MODULES, KEEPS_FINGERPRINTS))
    one = IrcNetwork(modules=(*irc_config.MODULES, TELLS_FINGERPRINTS))
    try:
        one.start()
        one.register({BOT: password(BOT)})
        yield one
    finally:
        one.stop()


def certificate(folder: Path, name: str) -> Path:
    """A certificate and its key in one file."""
    key, both = folder / f"{name}.key", folder / f"{name}.pem"
    new_certificate(both, key)
    both.write_bytes(both.read_bytes() + key.read_bytes())
    return both


def make_known(network: IrcNetwork, pem: Path) -> None:
    """To the services, as the one of the bot's account."""
    der = ssl.PEM_cert_to_DER_cert(pem.read_text().partition("-----BEGIN PRIVATE")[0])
    person = owner(network, BOT)
    # MD5 is what this server goes by unless it is told otherwise
    person.say("NickServ", f"CERT ADD {hashlib.md5(der, usedforsecurity=False).hexdigest()}")
    person.wait_for_text("Added fingerprint")
    person.close()


def test_the_bot_logs_in_by_a_certificate_that_the_services_know_and_by_no_other(
    network: IrcNetwork, tmp_path: Path
) -> None:
    known, unknown = certificate(tmp_path, "known"), certificate(tmp_path, "unknown")
    make_known(network, known)
    with stranger(network.port, "watcher") as watcher:
        with coming(network, unknown) as (refused, _):
            until(lambda: "login was refused" in refused.last_error)
        assert not any(one.command == "JOIN" and one.nick == BOT for one in watcher.seen)
        with coming(network, known) as (chat, ear):
            until(lambda: ear.connections == 1, lambda: chat.last_error)
            watcher.send(f"WHOIS {BOT}")
            assert watcher.wait(lambda one: one.command == "330").params[2] == BOT


@contextmanager
def coming(network: IrcNetwork, pem: Path) -> Iterator[tuple[IrcChat, Ear]]:
    settings = IrcSettings(
        "localhost",
        network.tls_port,
        (CHANNEL,),
        ca_file=str(network.ca_file),
        mechanism=Mechanism.EXTERNAL,
        account=BOT,
        certificate=str(pem),
    )
    chat, ear = IrcChat(settings, lambda _: "", HASTY), Ear()
    chat.start(ear)
    try:
        yield chat, ear
    finally:
        chat.stop()
