"""An IMAP server over TLS with one folder, in which lies what the mail server was given for one address."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from kcibot.sandbox.certificate import server_context
from kcibot.sandbox.imap import Filed, ImapStandIn
from kcibot.sandbox.mailbox import MailboxStandIn
from kcibot.services.mail.adapter import SentFolder

USER, PASSWORD = "kcibot@example.org", "an-imap-secret"
COPIES = "kcibot-sent@example.org"
FOLDER = "Sent"


class ImapServer(ImapStandIn):
    """At the side of a mail server that has a certificate, which is this one's too."""

    def __init__(self, mailbox: MailboxStandIn) -> None:
        super().__init__(server_context(mailbox.ca_file, mailbox.key_file), USER, PASSWORD, self._filed)
        self.mailbox = mailbox

    def _filed(self, folder: str) -> Sequence[Filed] | None:
        """Nobody files what is sent: a mail is there if it was addressed there."""
        if folder != FOLDER:
            return None
        copies = (mail.raw for mail in self.mailbox.messages if COPIES in mail.recipients)
        return [Filed(raw, datetime.now(UTC)) for raw in copies]


@contextmanager
def imap_server(mailbox: MailboxStandIn) -> Iterator[ImapServer]:
    with ImapServer(mailbox) as server:
        yield server


def folder_of(server: ImapServer, password: str = PASSWORD, folder: str = FOLDER, copy_to: str = COPIES) -> SentFolder:
    """How the bot's mailer finds it."""
    return SentFolder("127.0.0.1", USER, lambda: password, folder, server.port, server.mailbox.ca_file, copy_to)
