"""A plain IRC server: no tags, no services, no accounts."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.servers.floor import folder_for, free_port, listens, needed, running, until

CONFIG = """\
[Global]
Name = ng.test
Listen = 127.0.0.1
Ports = {port}
ServerUID = 65534
ServerGID = 65534
[Limits]
MaxConnectionsIP = 0
MaxPenaltyTime = {penalty}
[Options]
DNS = no
Ident = no
PAM = no
"""


@contextmanager
def ngircd(penalty_seconds: int = 0) -> Iterator[int]:
    """Its port. Who says too much is not listened to for at most so many seconds."""
    needed(["ngircd"], "ngircd")
    with folder_for("ngircd") as folder:
        port, log = free_port(), folder / "log"
        (folder / "ngircd.conf").write_text(CONFIG.format(port=port, penalty=penalty_seconds))
        with running(["ngircd", "-n", "-f", str(folder / "ngircd.conf")], log):
            until(listens(port), log)
            yield port
