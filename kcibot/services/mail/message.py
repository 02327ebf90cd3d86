"""A mail as the bytes that are handed over: text and HTML, and headers into which nobody can smuggle another one."""

import hashlib
import re
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime, getaddresses

from kcibot.core.ports import Mail
from kcibot.errors import PermanentError

MESSAGE_ID = re.compile(r"<[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+>")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+")
# Seven bits only: not every server on the way need know 8BITMIME.
# A subject is never folded: some readers show the fold as a leading blank. RFC 5322 allows 998 characters a line.
_POLICY = policy.SMTP.clone(cte_type="7bit", max_line_length=900)


def message_of(mail: Mail) -> EmailMessage:
    """The mail as text in UTF-8, and as HTML if it has it; PermanentError if a header could smuggle in another one.

    Nothing but its date is made here: the same mail is the same bytes whenever it is sent.
    """
    _check(mail)
    message = EmailMessage(policy=_POLICY)
    for name, value in _headers(mail).items():
        message[name] = value
    message.set_content(mail.text)
    if mail.html:
        message.add_alternative(mail.html, subtype="html")
        message.set_boundary(f"=_{hashlib.sha256(mail.message_id.encode()).hexdigest()[:32]}")
    return message


def _headers(mail: Mail) -> dict[str, str]:
    headers = {
        "Message-ID": mail.message_id,
        "Date": format_datetime(mail.date),
        "From": mail.sender,
        "To": ", ".join(mail.recipients),
        "Subject": mail.subject,
        "Auto-Submitted": "auto-generated",  # RFC 3834: nobody's "out of office" answers it
    }
    if mail.reply_to:
        headers["Reply-To"] = ", ".join(mail.reply_to)
    if mail.in_reply_to:
        headers |= {"In-Reply-To": mail.in_reply_to, "References": mail.in_reply_to}
    return headers


def _check(mail: Mail) -> None:
    addresses = (mail.sender, *mail.recipients, *mail.reply_to)
    for value in (mail.subject, mail.message_id, mail.in_reply_to, *addresses):
        if _CONTROL.search(value):
            raise PermanentError(f"The mail was not sent: a line break or control character in {value!r}.")
    if not _is_text(mail.subject + mail.text + mail.html):
        raise PermanentError("The mail was not sent: it holds bytes that are no text, perhaps from a commit's subject.")
    for message_id in (mail.message_id, *([mail.in_reply_to] if mail.in_reply_to else [])):
        if not MESSAGE_ID.fullmatch(message_id):
            raise PermanentError(f"The mail was not sent: {message_id!r} is no Message-ID.")
    if not mail.recipients:
        raise PermanentError("The mail was not sent: it has no recipient.")
    for address in addresses:
        bare(address)


def _is_text(value: str) -> bool:
    """False for what was read from bytes that are no UTF-8, as Python keeps them (lone surrogates)."""
    return not any(0xD800 <= ord(letter) <= 0xDFFF for letter in value)  # noqa: PLR2004 (Unicode's range of surrogates)


def bare(address: str) -> str:
    """The address without the person's name; PermanentError if it is not exactly one."""
    found = [bare for _name, bare in getaddresses([address])]
    if len(found) != 1 or not _ADDRESS.fullmatch(found[0]):
        raise PermanentError(f"The mail was not sent: {address!r} is not one mail address.")
    return found[0]
