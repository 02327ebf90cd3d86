"""A scripted IRC server on loopback: by default polite and modern, and whatever a test tells it to be."""

import datetime as dt
import ipaddress
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

MODERN = (
    "account-notify account-tag away-notify batch cap-notify chghost echo-message extended-join "
    "inspircd.org/poison inspircd.org/standard-replies labeled-response message-tags sasl=PLAIN,EXTERNAL server-time "
)
FEATURES = "CASEMAPPING=rfc1459 WHOX NICKLEN=30"
HOST = "u@far.example.org"
DEADLINE = 30.0

Reaction = Callable[["Client", str], bool]


class Client:
    """One connection as the server sees it. `got` are the lines that came, without their ends."""

    def __init__(self, server: "IrcServer", sock: socket.socket) -> None:
        self.server = server
        self.got: list[str] = []
        self.nick = "*"
        self.caps: set[str] = set()
        self.closed = threading.Event()
        self._sock = sock
        self._writing = threading.Lock()

    @property
    def mask(self) -> str:
        return f"{self.nick}!{HOST}"

    def send(self, *lines: str) -> None:
        self.send_bytes("".join(f"{line}\r\n" for line in lines).encode())

    def send_bytes(self, data: bytes) -> None:
        with self._writing:
            try:
                self._sock.sendall(data)
            except OSError:
                self.closed.set()

    def hang_up(self) -> None:
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            self.closed.set()

    def saw(self, pattern: str, times: int = 1) -> str:
        """Wait for a line in which that is found; the last of so many."""
        until(lambda: len(self.seen(pattern)) >= times, lambda: f"no {pattern!r} in {self.got}")
        return self.seen(pattern)[times - 1]

    def seen(self, pattern: str) -> list[str]:
        return [line for line in list(self.got) if re.search(pattern, line)]

    def numeric(self, number: str, *params: str, text: str = "") -> None:
        self.send(" ".join([f":irc.test {number} {self.nick}", *params, f":{text}"]))

    def serve(self) -> None:
        buffer = b""
        while True:
            try:
                data = self._sock.recv(65536)
            except OSError:
                data = b""
            if not data:
                self.closed.set()
                return
            buffer += data
            *lines, buffer = buffer.split(b"\n")
            for line in lines:
                text = line.rstrip(b"\r").decode()
                self.got.append(text)
                self.server.react(self, text)


@dataclass
class IrcServer:
    """`caps` are offered, none for a server without CAP. `special` may answer a command otherwise, or not at all."""

    caps: str | None = MODERN
    features: str = FEATURES
    account: str = "relbot"
    password: str = "s3cret"
    context: ssl.SSLContext | None = None
    special: dict[str, Reaction] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    members: str = ""
    clients: list[Client] = field(default_factory=list)
    whois: dict[str, str] = field(default_factory=dict)
    port: int = 0
    _number: int = 0
    _socket: socket.socket | None = None

    def start(self, family: socket.AddressFamily = socket.AF_INET) -> None:
        address = "127.0.0.1" if family is socket.AF_INET else "::1"
        self._socket = socket.create_server((address, self.port), family=family)
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._socket,), daemon=True).start()

    def stop(self) -> None:
        """As when the machine goes away: nobody is told anything, and the port is closed."""
        if self._socket:
            self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
            self._socket = None
        for client in self.clients:
            client.hang_up()

    def client(self, number: int = 1) -> Client:
        """The so-manyth connection, counted from 1."""
        until(lambda: len(self.clients) >= number, lambda: f"only {len(self.clients)} connections")
        return self.clients[number - 1]

    def next_id(self) -> str:
        self._number += 1
        return f"id{self._number}"

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                sock, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=self._begin, args=(sock,), daemon=True).start()

    def _begin(self, sock: socket.socket) -> None:
        try:
            wrapped = self.context.wrap_socket(sock, server_side=True) if self.context else sock
        except OSError:
            sock.close()
            return
        client = Client(self, wrapped)
        self.clients.append(client)
        client.serve()

    # ---- what it answers ---------------------------------------------------------------------------------------

    def react(self, client: Client, text: str) -> None:
        tags, line = text.split(" ", 1) if text.startswith("@") else ("", text)
        command = line.partition(" ")[0].upper()
        if command in self.special and self.special[command](client, line):
            return
        answer = getattr(self, f"on_{command.lower()}", None)
        if answer:
            answer(client, line, tags)

    def on_cap(self, client: Client, line: str, _tags: str) -> None:
        _, sub, *rest = line.split(" ", 2)
        if self.caps is None:
            client.numeric("421", "CAP", text="Unknown command")
            return
        if sub == "LS":
            client.send(f":irc.test CAP * LS :{self.caps}")
        elif sub == "REQ":
            self._request(client, rest[0].lstrip(":"))
        elif sub == "END":
            self._ready(client)

    def _request(self, client: Client, wanted: str) -> None:
        offered = {name.partition("=")[0] for name in (self.caps or "").split()} - {"inspircd.org/poison"}
        if set(wanted.split()) <= offered:
            client.caps |= set(wanted.split())
            client.send(f":irc.test CAP * ACK :{wanted} ")
        else:
            client.send(f":irc.test CAP * NAK :{wanted} ")

    def on_nick(self, client: Client, line: str, _tags: str) -> None:
        nick = line.split()[1]
        if nick in self.taken:
            client.send(f":irc.test 433 {client.nick} {nick} :Nickname is already in use")
            return
        if client.nick != "*":
            client.send(f":{client.mask} NICK {nick}")
        is_new, client.nick = client.nick == "*", nick
        if is_new:
            self._ready(client)

    def on_user(self, client: Client, _line: str, _tags: str) -> None:
        self._ready(client)

    def _ready(self, client: Client) -> None:
        """Welcome who has a nick, a user, and has ended the negotiation, if there is any."""
        negotiated = self.caps is None or client.seen("^CAP END")
        if client.nick != "*" and client.seen("^USER") and negotiated:
            self.welcome(client)

    def on_authenticate(self, client: Client, line: str, _tags: str) -> None:
        """Believes everything that is not a mechanism."""
        if line.split()[1] in ("PLAIN", "EXTERNAL"):
            client.send("AUTHENTICATE :+")
        else:
            client.send(
                f":irc.test 900 {client.nick} {client.mask} {self.account} :You are now logged in",
                f":irc.test 903 {client.nick} :SASL authentication successful",
            )

    def welcome(self, client: Client) -> None:
        client.numeric("001", text="Welcome")
        client.numeric("005", *self.features.split(), text="are supported")
        client.numeric("376", text="End of MOTD")

    def on_join(self, client: Client, line: str, _tags: str) -> None:
        channel = line.split()[1]
        extra = f" {self.account} :bot" if "extended-join" in client.caps else ""
        client.send(f":{client.mask} JOIN {channel}{extra}")
        client.numeric("353", "=", channel, text=f"@{client.nick} {self.members}".strip())
        client.numeric("366", channel, text="End of names")

    def on_quit(self, client: Client, _line: str, _tags: str) -> None:
        client.send("ERROR :Closing link")
        client.hang_up()

    def on_ping(self, client: Client, line: str, _tags: str) -> None:
        client.send(f":irc.test PONG irc.test :{line.partition(' ')[2].lstrip(':')}")

    def on_privmsg(self, client: Client, line: str, tags: str) -> None:
        """The echo, with the label and an id."""
        if "echo-message" not in client.caps:
            return
        label = re.search(r"label=([^; ]+)", tags)
        mark = f"label={label[1]};" if label else ""
        client.send(f"@{mark}msgid={self.next_id()};account={self.account} :{client.mask} {line}")

    on_notice = on_privmsg

    def on_whois(self, client: Client, line: str, _tags: str) -> None:
        nick = line.split()[1]
        account = self.whois.get(nick)
        client.numeric("311", nick, "u", "h", "*", text="somebody")
        if account:
            client.numeric("330", nick, account, text="is logged in as")
        client.numeric("318", nick, text="End of WHOIS")

    def on_who(self, client: Client, line: str, _tags: str) -> None:
        for nick, account in self.whois.items():
            client.send(f":irc.test 354 {client.nick} {nick} :{account or '0'}")
        client.numeric("315", line.split()[1], text="End of WHO")


def until(
    condition: Callable[[], bool], what: Callable[[], str] = lambda: "it did not happen", seconds: float = DEADLINE
) -> None:
    """Wait until it is so, or fail."""
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, what()
        threading.Event().wait(0.01)


@contextmanager
def irc_server(**settings: object) -> Iterator[IrcServer]:
    server = IrcServer(**settings)  # type: ignore[arg-type]
    server.start()
    try:
        yield server
    finally:
        server.stop()


def certificate(folder: Path, name: str = "localhost") -> Path:
    """A PEM file with a key and a self-made certificate for that name."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    names: list[x509.GeneralName] = [x509.DNSName(name)]
    if name == "localhost":
        names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / f"{name}.pem"
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path
