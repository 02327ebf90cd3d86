"""What a connection to an IRC network needs to know. Secrets are asked for when they are sent, and kept nowhere."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class Mechanism(StrEnum):
    """How the bot proves who it is (SASL)."""

    NONE = ""
    PLAIN = "PLAIN"
    EXTERNAL = "EXTERNAL"


def no_password() -> str:
    """For a connection that proves nothing, or by its certificate."""
    return ""


@dataclass(frozen=True)
class IrcSettings:
    """Where, as whom, and how fast.

    `ca_file` is what the server's certificate is verified with, the system's if empty; `certificate` is a PEM file of
    ours for EXTERNAL. `rate` is in lines a second, after the first `burst`. `longest` is how many lines a notice may
    take. `timeout` is for connecting and for the whole registration; `ping` is how long silence lasts until the server
    is asked, and then once more until the connection is given up.
    """

    server: str
    port: int
    channels: tuple[str, ...]
    nick: str = "kcibot"
    tls: bool = True
    ca_file: str = ""
    mechanism: Mechanism = Mechanism.NONE
    account: str = ""
    password: Callable[[], str] = no_password
    certificate: str = ""
    rate: float = 1.0
    burst: int = 5
    longest: int = 8
    timeout: timedelta = timedelta(seconds=30)
    ping: timedelta = timedelta(seconds=60)
    network: str = "irc"
