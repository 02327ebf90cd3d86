"""An IMAP server over TLS with one folder, in which lies what the mail server was given for one address."""

import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from kcibot.sandbox.mailbox import MailboxStandIn
from kcibot.services.mail import SentFolder

USER, PASSWORD = "kcibot@example.org", "an-imap-secret"
COPIES = "kcibot-sent@example.org"
FOLDER = "Sent"


class ImapServer(socketserver.ThreadingTCPServer):
    """As much of IMAP as one look in a folder takes: LOGIN, SELECT or EXAMINE, UID SEARCH, LOGOUT."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, context: ssl.SSLContext, mailbox: MailboxStandIn) -> None:
        super().__init__(("127.0.0.1", 0), ImapSession)
        self.mailbox = mailbox
        self.socket = context.wrap_socket(self.socket, server_side=True)

    def filed(self) -> set[str]:
        """The Message-IDs in the folder. Nobody files what is sent: a mail is there if it was addressed there."""
        return {mail.message_id for mail in self.mailbox.messages if COPIES in mail.recipients}


class ImapSession(socketserver.StreamRequestHandler):
    server: ImapServer

    def handle(self) -> None:
        self.wfile.write(b"* OK IMAP4rev1 ready\r\n")
        for line in self.rfile:
            tag, command, *_rest = line.decode().split()
            for answer in self._answers(command.upper(), line.decode()):
                self.wfile.write(answer.replace("TAG", tag).encode() + b"\r\n")
            if command.upper() == "LOGOUT":
                return

    def _answers(self, command: str, line: str) -> list[str]:
        match command:
            case "CAPABILITY":
                return ["* CAPABILITY IMAP4rev1", "TAG OK done"]
            case "LOGIN":
                return ["TAG OK done" if PASSWORD in line else "TAG NO wrong password"]
            case "EXAMINE":
                if f'"{FOLDER}"' not in line:
                    return ["TAG NO no such mailbox"]
                return ["* 1 EXISTS", "TAG OK [READ-ONLY] done"]
            case "UID":
                found = any(f'HEADER Message-ID "{known}"' in line for known in self.server.filed())
                return ["* SEARCH 7" if found else "* SEARCH", "TAG OK done"]
            case "LOGOUT":
                return ["* BYE", "TAG OK done"]
            case _:
                return ["TAG BAD what?"]


@contextmanager
def imap_server(mailbox: MailboxStandIn) -> Iterator[ImapServer]:
    """At the side of a mail server that has a certificate, which is this one's too."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(mailbox.ca_file, mailbox.key_file)
    with ImapServer(context, mailbox) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield server
        server.shutdown()


def folder_of(server: ImapServer, password: str = PASSWORD, folder: str = FOLDER, copy_to: str = COPIES) -> SentFolder:
    """How the bot's mailer finds it."""
    port = int(server.server_address[1])
    return SentFolder("127.0.0.1", USER, lambda: password, folder, port, server.mailbox.ca_file, copy_to)
