"""Mails to the list: how they are shown before they go, and how one is handed over once, whatever happens meanwhile."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from kcibot.sdk import (
    ConfigError,
    Context,
    Happened,
    Mail,
    NotHappened,
    OutcomeUnknown,
    Preview,
    Proof,
    Sent,
    digest,
    listed,
)
from kcibot_commands.rules.announcement import Link
from kcibot_commands.rules.announcement_mail import Rendered
from kcibot_commands.rules.hours import Counting

_ADDRESS = re.compile(r"[^@\s<>,]+@[^@\s<>,]+")


def wrong_addresses(given: tuple[str, ...]) -> list[str]:
    """Those that are no mail addresses."""
    return [address for address in given if not _ADDRESS.fullmatch(address)]


@dataclass(frozen=True)
class AnnounceSettings:
    """To whom the announcement goes, and how long people have to comment on it.

    Answers go to the `recipients`, too. `window` is the time for comments, in `counting` days. `links` are shown below
    it, label -> address. Authors in `leave_out` are bots, and no contributors. A mail that is not in the list's archive
    or the sent folder within `archive_lag` is taken for one that was never sent.
    """

    section: ClassVar[str] = "announce"
    sender: str = "kcibot@kernelci.org"
    recipients: tuple[str, ...] = ("kernelci@groups.io",)
    window: timedelta = timedelta(hours=24)
    counting: Counting = Counting.ALL_DAYS
    links: Mapping[str, str] | None = None
    leave_out: tuple[str, ...] = ("KernelCI bot", "kernelci.org bot", "kcibot")
    archive_lag: timedelta = timedelta(minutes=10)

    def __post_init__(self) -> None:
        if not self.recipients:
            raise ConfigError("The announcement goes to nobody: recipients is empty.")
        wrong = wrong_addresses(self.recipients)
        if wrong:
            raise ConfigError(f"The announcement cannot be sent to what is no mail address: {listed(wrong)}.")
        for label, url in (self.links or {}).items():
            Link(label, url)


def mail_of(
    settings: AnnounceSettings, message_id: str, rendered: Rendered, at: datetime, in_reply_to: str = ""
) -> Mail:
    """The mail to the list, as it is shown and as it is sent; `at` is its date."""
    return Mail(
        message_id,
        settings.sender,
        settings.recipients,
        rendered.subject,
        rendered.body,
        at,
        rendered.html,
        settings.recipients,
        in_reply_to,
    )


def shown(mail: Mail, *more: str) -> Preview:
    """Everything of it but its date, and `more` lines for people below."""
    # The bodies as digests: the mail itself is shown, and who reads that it moved does not want it twice more.
    facts = {
        "from": mail.sender,
        "to": list(mail.recipients),
        "answers to": list(mail.reply_to),
        "in reply to": mail.in_reply_to,
        "subject": mail.subject,
        "body": digest(mail.text),
        "html": digest(mail.html),
    }
    head = [
        f"From: {mail.sender}",
        f"To: {', '.join(mail.recipients)}",
        f"Reply-To: {', '.join(mail.reply_to)}",
        *([f"In-Reply-To: {mail.in_reply_to}"] if mail.in_reply_to else []),
        f"Subject: {mail.subject}",
        "",
    ]
    return Preview(facts, (*head, *mail.text.splitlines(), "", "The same lines go along as HTML.", *more))


def delivered(context: Context, message_id: str, send: Callable[[datetime], None]) -> datetime:
    """Hand a mail over once; when it was. If the answer is lost, the list's archive tells, once it had the time to."""

    def hand_over() -> str:
        send(context.clock.now())
        return context.clock.now().isoformat()

    def probe() -> Proof[str]:
        match context.ports.mailer.sent(message_id):
            case Sent.YES:
                return Happened(context.clock.now().isoformat())
            case Sent.NO:
                return NotHappened()
            case Sent.CANNOT_TELL:
                raise OutcomeUnknown("neither a sent folder nor the list's archive tells whether it was sent")

    lag = context.settings(AnnounceSettings).archive_lag
    return datetime.fromisoformat(context.effect(f"mail {message_id}", hand_over, probe, lag))
