"""A real IRC network on this machine: an InspIRCd, and atheme services that know who has which account.

Neither is part of kcibot; `missing` says what to install.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kcibot.errors import TransientError, UserError
from kcibot.sandbox.certificate import new_certificate
from kcibot.sandbox.irc.config import MODULES, Flood, server_text, services_text
from kcibot.sandbox.irc.person import HOST, IrcPerson

PACKAGES = "inspircd atheme-services"
SERVER_PROGRAM, SERVICES_PROGRAM = "inspircd", "atheme-services"
STARTS_WITHIN = 15.0
ENDS_WITHIN = 10.0
LOOK_SECONDS = 0.03
BOUND = ("setpriv", "--pdeathsig", "KILL")
"""However this program ends, nothing of the network is left."""
NOBODY = ("--reuid=nobody", "--regid=nogroup", "--clear-groups")
"""The services refuse to run as root."""


def missing() -> tuple[str, ...]:
    """The programs that are not here; `PACKAGES` has them."""
    return tuple(name for name in (SERVER_PROGRAM, SERVICES_PROGRAM, BOUND[0]) if not _program(name))


class IrcNetwork:
    """Each part is started, stopped and killed by itself. Ports and accounts stay as they are.

    Raises UserError where a program is not here, or does not start.
    """

    def __init__(
        self, flood: Flood = Flood.OFF, modules: Sequence[str] = MODULES, *, port: int = 0, tls_port: int = 0
    ) -> None:
        absent = missing()
        if absent:
            raise UserError(f"An IRC network needs {', '.join(absent)}: apt-get install {PACKAGES}")
        self.folder = _folder()
        self.port, self.tls_port, self._link_port = port or free_port(), tls_port or free_port(), free_port()
        self.ca_file = self.folder / "cert.pem"
        self._services_folder = self.folder / "svc"
        self._flood, self._modules = flood, modules
        self._server = _Program(SERVER_PROGRAM, self._server_argv(), self.folder / "inspircd.out")
        self._services = _Program(SERVICES_PROGRAM, self._services_argv(), self.folder / "atheme.out")
        self._write()

    def start(self) -> None:
        """Both of them are there, and know each other, when this returns."""
        self.start_server()
        self.start_services()

    def stop(self) -> None:
        """Of it nothing is left."""
        self._services.end(signal.SIGTERM)
        self._server.end(signal.SIGTERM)
        shutil.rmtree(self.folder, ignore_errors=True)

    def start_server(self) -> None:
        self._server.start()
        self._server.until(lambda: _listens(self.tls_port))

    def kill_server(self) -> None:
        """As a power cut would."""
        self._server.end(signal.SIGKILL)

    def stop_server(self) -> None:
        self._server.end(signal.SIGTERM)

    def start_services(self) -> None:
        self._services.start()
        self.wait_for_services()

    def wait_for_services(self) -> None:
        """Until who comes may log in; also after a restart of the server, to which they come back by themselves."""
        self._services.until(self.offers_login)

    def kill_services(self) -> None:
        """Those who are logged in stay so; nobody else can.

        Not by asking them to end: of that the server takes notice only seconds later.
        """
        self._services.end(signal.SIGKILL)
        deadline = time.monotonic() + ENDS_WITHIN
        while self.offers_login() and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)  # it is another program: it can only be looked at

    def freeze_services(self) -> None:
        """They stay connected and answer nothing, until `thaw_services`."""
        self._services.signal(signal.SIGSTOP)

    def thaw_services(self) -> None:
        self._services.signal(signal.SIGCONT)

    def register(self, passwords: Mapping[str, str]) -> None:
        """Make an account for each, and have the services keep them.

        They write their database every few minutes, and when they are told to.
        """
        with ThreadPoolExecutor(len(passwords)) as pool:  # the server takes a second to let somebody in
            list(pool.map(self._register, passwords, passwords.values()))
        self._services.signal(signal.SIGHUP)
        self._services.until(lambda: self._keeps(passwords))

    def _keeps(self, accounts: Iterable[str]) -> bool:
        database = self._services_folder / "data" / "services.db"
        text = database.read_text(errors="replace") if database.exists() else ""
        return all(f" {account} " in text for account in accounts)

    def _register(self, account: str, password: str) -> None:
        person = IrcPerson(self.port, account)
        try:
            person.register_account(password)
        finally:
            person.close()

    def offers_login(self) -> bool:
        """Whether the server has services that take logins."""
        try:
            with socket.create_connection((HOST, self.port), 2) as probe:
                probe.sendall(b"CAP LS 302\r\n")
                return b" sasl" in _line_with(probe, b" LS ")
        except OSError:
            return False

    # ---- files and programs ----------------------------------------------------------------------------------------

    def _write(self) -> None:
        new_certificate(self.folder / "cert.pem", self.folder / "key.pem")
        ports = {"port": self.port, "tls_port": self.tls_port, "link_port": self._link_port}
        text = server_text(str(self.folder), self._modules, _modules_folder(), self._flood, **ports)
        (self.folder / "inspircd.conf").write_text(text)
        (self._services_folder / "data").mkdir(parents=True)
        (self._services_folder / "atheme.conf").write_text(services_text(str(self._services_folder), self._link_port))
        if _is_root():
            for path in (self._services_folder, self._services_folder / "data", self._services_folder / "atheme.conf"):
                shutil.chown(path, "nobody", "nogroup")

    def _server_argv(self) -> list[str]:
        config = str(self.folder / "inspircd.conf")
        as_root = ["--runasroot"] if _is_root() else []
        return [*BOUND, str(_program(SERVER_PROGRAM)), "--nofork", "--nopid", "--config", config, *as_root]

    def _services_argv(self) -> list[str]:
        folder = str(self._services_folder)
        options = ["-n", "-c", f"{folder}/atheme.conf", "-l", f"{folder}/log", "-p", f"{folder}/pid"]
        as_nobody = NOBODY if _is_root() else ()
        return [*BOUND, *as_nobody, str(_program(SERVICES_PROGRAM)), *options, "-D", f"{folder}/data"]


class _Program:
    """A server as a child process, with what it prints in a file."""

    def __init__(self, name: str, argv: Sequence[str], log: Path) -> None:
        self._name = name
        self._argv = argv
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 (words of our own)
                self._argv, cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self.signal(number)
        try:
            self._process.wait(ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        if self._process and self._process.poll() is None:
            os.killpg(self._process.pid, number)

    def until(self, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + STARTS_WITHIN
        while not ready():
            gone = self._process is None or self._process.poll() is not None
            if gone or time.monotonic() > deadline:
                raise UserError(f"{self._name} did not start: {self.last_words()}")
            time.sleep(LOOK_SECONDS)  # it is another program: it can only be looked at

    def last_words(self) -> str:
        return self._log.read_text(errors="replace")[-1000:].strip()


def free_port(wanted: int = 0) -> int:
    """One that nobody uses, and the wanted one if that is so."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise TransientError("no port is free")


def _folder() -> Path:
    """A short path, which the services may enter also when they are not the user who runs this."""
    folder = Path(tempfile.mkdtemp(prefix="kcibot-irc-"))
    folder.chmod(0o755)
    return folder


def _is_root() -> bool:
    return os.geteuid() == 0


def _program(name: str) -> str | None:
    """Servers are where only root looks by itself."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:/usr/bin")


def _modules_folder() -> str:
    found = next(Path("/usr/lib").glob("**/inspircd/modules"), Path("/usr/lib/inspircd/modules"))
    return str(found)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex((HOST, port)) == 0


def _line_with(connection: socket.socket, words: bytes) -> bytes:
    received = b""
    while some := connection.recv(4096):
        received += some
        for line in received.split(b"\n")[:-1]:
            if words in line:
                return line
    return b""
