"""OpenSMTPD and Dovecot: what the first takes for a list arrives in a mailbox, which the second shows over IMAP.

Unencrypted SMTP: STARTTLS of Debian's build of OpenSMTPD fails with every key. IMAP is over TLS.
"""

import fcntl
import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers.floor import folder_for, free_port, listens, needed, running, until

PACKAGES = "opensmtpd dovecot-imapd openssl"
PASSWORD = "a-mailbox-password"
LIST = "release-list@localhost"
COPIES = "kcibot-sent@localhost"
SPOOL = Path("/var/spool/smtpd")

SMTPD = """\
table aliases {{ postmaster = {user}, release-list = {user}, kcibot-sent = {user} }}
listen on 127.0.0.1 port {smtp_port} hostname localhost
action "copies" maildir "{maildir}/.Sent" alias <aliases>
action "local" maildir "{maildir}" alias <aliases>
match from local for rcpt-to "{copies}" action "copies"
match from local for any action "local"
"""

DOVECOT = """\
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/dovecot.log
protocols = imap
listen = 127.0.0.1
ssl = yes
ssl_cert = <{folder}/cert.pem
ssl_key = <{folder}/key.pem
mail_location = maildir:{maildir}
auth_failure_delay = 0
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service imap-login {{
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = {imap_port}
    ssl = yes
  }}
}}
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={user} gid={user} home=/home/{user}
}}
"""


@dataclass(frozen=True)
class MailServers:
    """Both of them. Of `user`, mail to `LIST` arrives in INBOX and to `COPIES` in Sent; other addresses are refused."""

    smtp_port: int
    imap_port: int
    user: str
    ca_file: Path
    maildir: Path


@contextmanager
def mail_servers() -> Iterator[MailServers]:
    """With a user of their own, who is gone afterwards."""
    needed(["smtpd", "dovecot", "openssl", "useradd", "userdel"], PACKAGES, root=True)
    with ExitStack() as stack:
        stack.enter_context(_alone())
        folder = stack.enter_context(folder_for("mail"))
        user = stack.enter_context(_user())
        stack.enter_context(_spool())
        servers = MailServers(free_port(), free_port(), user, folder / "cert.pem", Path(f"/home/{user}/Maildir"))
        _prepare(folder, servers)
        smtp_log, imap_log = folder / "smtpd.log", folder / "dovecot.log"
        stack.enter_context(running(["smtpd", "-d", "-f", str(folder / "smtpd.conf")], smtp_log))
        stack.enter_context(running(["dovecot", "-F", "-c", str(folder / "dovecot.conf")], imap_log))
        until(lambda: _greets(servers.smtp_port), smtp_log)
        until(listens(servers.imap_port), imap_log)
        yield servers


@contextmanager
def _alone() -> Iterator[None]:
    """OpenSMTPD has one control socket on the machine: tests that run beside each other take turns."""
    with (Path(tempfile.gettempdir()) / "kcibot-tests-smtpd.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _user() -> Iterator[str]:
    name = f"kcimail{uuid.uuid4().hex[:6]}"
    _run("useradd", "--create-home", "--shell", "/usr/sbin/nologin", name)
    try:
        yield name
    finally:
        _run("userdel", "--remove", "--force", name)


@contextmanager
def _spool() -> Iterator[None]:
    """OpenSMTPD keeps its queue in one place of the machine; where there was none, none is left."""
    was_there = SPOOL.exists()
    yield
    if not was_there:
        shutil.rmtree(SPOOL, ignore_errors=True)


def _prepare(folder: Path, servers: MailServers) -> None:
    (folder / "run").mkdir()
    for name, text in (("smtpd.conf", SMTPD), ("dovecot.conf", DOVECOT)):
        (folder / name).write_text(text.format(folder=folder, password=PASSWORD, copies=COPIES, **vars(servers)))
    key, certificate = str(folder / "key.pem"), str(servers.ca_file)
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    request = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost")
    _run(*request, "-keyout", key, "-out", certificate, "-addext", names)


def _run(*argv: str) -> None:
    environment = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
    subprocess.run(argv, check=True, capture_output=True, timeout=60, stdin=subprocess.DEVNULL, env=environment)


def _greets(port: int) -> bool:
    """It listens before it speaks."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            return connection.recv(3) == b"220"
    except OSError:
        return False
