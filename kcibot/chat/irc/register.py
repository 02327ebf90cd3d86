"""Coming to an IRC network: capabilities, proof of who we are, and a nick. It fails closed."""

import base64
import logging
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from kcibot.chat.irc.lines import Line, compose
from kcibot.chat.irc.settings import IrcSettings, Mechanism
from kcibot.errors import TransientError

log = logging.getLogger(__name__)

WANTED = (
    "message-tags",
    "account-tag",
    "echo-message",
    "server-time",
    "batch",
    "labeled-response",
    "extended-join",
    "account-notify",
    "chghost",
    "cap-notify",
)
"""What is asked for where it is offered, and nothing else: some offer what no client may take, such as InspIRCd's
`inspircd.org/poison`, and then refuse the whole request."""
CHUNK = 400
"""Characters of an AUTHENTICATE line; a last one that is full is followed by an empty one (IRCv3 SASL)."""
TRIES = 10

SASL_FAILED: Mapping[str, str] = MappingProxyType(
    {
        "902": "the account is locked",
        "904": "the login was refused",
        "905": "the login is too long for it",
        "906": "the login was broken off",
        "907": "it says we are logged in already",
    }
)
NO_ENTRY = frozenset({"463", "464", "465", "466"})
NICK_REFUSED = frozenset({"432", "433", "436", "437"})


class RegistrationFailed(TransientError):
    """We are not there, or not as who we are; the reason is worth being told."""


class Registration:
    """What to say until the server lets us in. `done` then, with `nick` as it is and `enabled` as it was agreed on."""

    def __init__(self, settings: IrcSettings) -> None:
        self.nick = settings.nick
        self.enabled: set[str] = set()
        self.done = False
        self.waits_for = "its greeting"
        self._settings = settings
        self._offered: dict[str, str] = {}
        self._asked: set[str] = set()
        self._tries = 0
        self._welcome = False
        self._proven = settings.mechanism is Mechanism.NONE

    def begin(self) -> tuple[bytes, ...]:
        user = compose("USER", self._settings.nick, "0", "*", text="kcibot")
        return (compose("CAP", "LS", "302"), compose("NICK", self.nick), user)

    def hear(self, line: Line) -> tuple[bytes, ...]:
        """What to answer to that line. Raises RegistrationFailed."""
        match line.command:
            case "CAP":
                return tuple(self._capability(line))
            case "AUTHENTICATE":
                return tuple(self._authenticate(line))
            case "001":
                return self._let_in(line)
            case "376" | "422":
                self.done = self._welcome
            case "421" if line.param(1).upper() == "CAP":
                return tuple(self._request())
            case "900":
                self._logged_in(line)
            case "903":
                return self._proved()
            case command if command in NICK_REFUSED:
                return self._another_nick(line)
            case command:
                self._refused(command, line.text)
        return ()

    def _refused(self, command: str, text: str) -> None:
        if command in SASL_FAILED and not self._proven:
            raise RegistrationFailed(f"The IRC server does not take our login: {SASL_FAILED[command]} ({text})")
        if command in NO_ENTRY:
            raise RegistrationFailed(f"The IRC server does not let us in: {text}")

    # ---- capabilities ------------------------------------------------------------------------------------------

    def _capability(self, line: Line) -> Iterator[bytes]:
        match line.param(1).upper():
            case "LS":
                self._offered.update(offers(line.text))
                if line.param(2) != "*" or len(line.params) < 4:  # noqa: PLR2004 (the last of several has no star)
                    yield from self._request()
            case "ACK":
                names = set(line.text.split())
                self.enabled |= names & self._asked
                yield from self._settled(names)
            case "NAK":
                yield from self._denied(set(line.text.split()) & self._asked or set(self._asked))

    def _request(self) -> Iterator[bytes]:
        """Ask for what we can use; without our login nothing is asked for, and we go."""
        self._asked = {name for name in WANTED if name in self._offered}
        if not self._proven:
            self._check_login_is_possible()
            self._asked.add("sasl")
        if self._asked:
            self.waits_for = "an answer about its capabilities"
            yield compose("CAP", "REQ", text=" ".join(sorted(self._asked)))
        else:
            yield from self._settled(set())

    def _check_login_is_possible(self) -> None:
        mechanisms = self._offered.get("sasl")
        if mechanisms is None:
            raise RegistrationFailed("The IRC server offers no login (SASL); its services may be away.")
        if mechanisms and self._settings.mechanism.value not in mechanisms.upper().split(","):
            raise RegistrationFailed(f"The IRC server takes no login by {self._settings.mechanism}, only {mechanisms}.")

    def _denied(self, names: set[str]) -> Iterator[bytes]:
        """A refusal is of the whole list: each is asked for alone."""
        if "sasl" in names and len(names) == 1:
            raise RegistrationFailed("The IRC server offers a login (SASL), and refuses it.")
        if len(names) == 1:
            yield from self._settled(names)
            return
        for name in sorted(names):
            yield compose("CAP", "REQ", text=name)

    def _settled(self, names: set[str]) -> Iterator[bytes]:
        self._asked -= names
        if self._asked or self._welcome:
            return
        if self._proven:
            self.waits_for = "being let in"
            yield compose("CAP", "END")
        elif "sasl" in self.enabled:
            self.waits_for = "an answer to our login"
            yield compose("AUTHENTICATE", self._settings.mechanism.value)

    # ---- who we are --------------------------------------------------------------------------------------------

    def _authenticate(self, line: Line) -> Iterator[bytes]:
        if line.text != "+" or self._proven or "sasl" not in self.enabled:
            return
        for chunk in _chunks(self._proof()):
            yield compose("AUTHENTICATE", chunk)

    def _proof(self) -> bytes:
        if self._settings.mechanism is Mechanism.EXTERNAL:
            return b""  # the certificate says it
        account = self._settings.account
        return f"\0{account}\0{self._settings.password()}".encode()

    def _logged_in(self, line: Line) -> None:
        account, expected = line.param(2), self._settings.account
        if not self._proven and expected and account.lower() != expected.lower():
            raise RegistrationFailed(f"The IRC server takes us for {account}, and we are {expected}.")

    def _proved(self) -> tuple[bytes, ...]:
        self._proven, self.waits_for = True, "being let in"
        return (compose("CAP", "END"),)

    def _let_in(self, line: Line) -> tuple[bytes, ...]:
        if not self._proven:
            raise RegistrationFailed("The IRC server let us in without our login; so I left again.")
        self._welcome, self.nick, self.waits_for = True, line.param(0) or self.nick, "the end of its greeting"
        return ()

    def _another_nick(self, line: Line) -> tuple[bytes, ...]:
        """Ours is wanted back later."""
        self._tries += 1
        if self._welcome or self._tries > TRIES:
            raise RegistrationFailed(f"The IRC server takes none of our nicks: {line.text}")
        wanted = self._settings.nick
        self.nick = f"{wanted}{'_' * self._tries}" if self._tries < 3 else f"{wanted[:6]}{self._tries}"  # noqa: PLR2004
        log.warning("irc: the nick %s is not free (%s), trying %s", wanted, line.text, self.nick)
        return (compose("NICK", self.nick),)


def offers(text: str) -> dict[str, str]:
    """Capabilities by name, with what was said of each: `sasl=PLAIN,EXTERNAL ` and the like."""
    return {name: value for name, _, value in (word.partition("=") for word in text.split())}


def _chunks(proof: bytes) -> Iterator[str]:
    text = base64.b64encode(proof).decode()
    for begin in range(0, len(text), CHUNK):
        yield text[begin : begin + CHUNK]
    if len(text) % CHUNK == 0:
        yield "+"
