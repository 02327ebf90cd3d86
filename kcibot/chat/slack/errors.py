"""What Slack answers when it does not do as asked, as errors of the bot: no effect, never any, or nobody knows."""

import re
from http.client import HTTPException
from ssl import SSLCertVerificationError
from typing import TYPE_CHECKING
from urllib.error import URLError

from kcibot.errors import KcibotError, NotFound, PermanentError, TransientError

if TYPE_CHECKING:
    from slack_sdk.errors import SlackApiError

TOO_MANY, SERVER_ERROR = 429, 500
LONGEST_WAIT = 3600.0
A_NAME = re.compile(r"[a-z][a-z0-9_]*")

SHUT_OUT = {
    "invalid_auth": "the token is not valid (invalid_auth)",
    "not_authed": "no token was sent (not_authed)",
    "not_allowed_token_type": "it wants the other kind of token: xoxb- is the bot's, xapp- the app's",
    "account_inactive": "the bot's account was switched off (account_inactive)",
    "token_revoked": "the token was revoked (token_revoked)",
    "token_expired": "the token has expired (token_expired)",
    "team_access_not_granted": "the app has no access to that workspace any more (team_access_not_granted)",
    "org_login_required": "the workspace is being moved (org_login_required)",
}
"""The whole network is away until people mend it: nothing is wrong with what was to be said."""
GONE = {
    "not_in_channel": "the bot is not in that channel: invite it there (/invite)",
    "channel_not_found": "there is no such channel, or it is a private one to which the bot was not invited",
    "is_archived": "the channel is archived",
    "is_inactive": "the channel is archived, or frozen",
    "restricted_action": "the workspace does not let the bot write there (restricted_action)",
    "restricted_action_read_only_channel": "the channel takes no messages of the bot (it is read-only)",
}
ABSENT = {
    "message_not_found": "there is no such message",
    "thread_not_found": "there is no such thread",
    "cannot_reply_to_message": "that message takes no replies",
    "restricted_action_thread_locked": "that thread takes no replies any more",
    "user_not_found": "there is no such person",
}
WHY = {
    "msg_too_long": "the text is too long",
    "msg_blocks_too_long": "the text of all blocks is too long together",
    "invalid_blocks": "the blocks are not as Slack wants them",
    "user_not_in_channel": "the person is not in that channel",
}
LATER = frozenset({"request_timeout", "team_added_to_org", "accesslimited"})
HALF_DONE = frozenset({"internal_error", "fatal_error", "service_unavailable"})
"""Documented as "some aspect of the operation may have succeeded"."""


class RateLimitedError(TransientError):
    """Slack wants to be left alone with that method for so many seconds."""

    def __init__(self, method: str, seconds: float) -> None:
        super().__init__(f"Slack takes no {method} for another {max(seconds, 0.0):.0f} s.")
        self.seconds = seconds


class RoomGoneError(TransientError):
    """The bot is not in that channel, or must not speak there; it may be let in again."""


def refused(method: str, error: "SlackApiError", lost: type[KcibotError]) -> KcibotError:
    """The error of the bot for an answer of Slack's; `lost` if it may have had its effect all the same."""
    response = error.response
    if response.status_code == TOO_MANY:
        return RateLimitedError(method, _seconds(str(response.headers.get("Retry-After", ""))))
    if response.status_code >= SERVER_ERROR:
        return lost(f"Slack answered {method} with the status {response.status_code}.")
    data = response.data if isinstance(response.data, dict) else {}
    name = str(data.get("error", ""))
    if not A_NAME.fullmatch(name):
        return lost(f"Slack answered {method} with something that is no answer.")
    if name in HALF_DONE:
        return lost(f"Slack answered {method} with {name}.")
    if name == "ratelimited":
        return RateLimitedError(method, _seconds(str(response.headers.get("Retry-After", ""))))
    if name in LATER:
        return TransientError(f"Slack puts {method} off: {name}.")
    return _by_name(method, name, str(data.get("needed", "")))


def failed(method: str, error: Exception, lost: type[KcibotError]) -> KcibotError:
    """The error for a request that was not answered, or not so that it could be read."""
    reason = error.reason if isinstance(error, URLError) else error
    if isinstance(reason, SSLCertVerificationError):
        return TransientError(f"Slack's certificate is not good: {reason.verify_message}.")
    if isinstance(error, URLError) and _never_arrived(reason):
        return TransientError(f"Slack cannot be reached: {reason}.")
    if isinstance(reason, OSError | HTTPException):
        return lost(f"The answer of Slack to {method} is lost: {type(reason).__name__} {reason}".strip() + ".")
    return lost(f"Slack's answer to {method} cannot be read ({type(reason).__name__}).")


def _by_name(method: str, name: str, needed: str) -> KcibotError:
    if name in ABSENT:
        return NotFound(f"Slack: {ABSENT[name]}.")
    if name in GONE:
        return RoomGoneError(f"Slack refuses {method}: {GONE[name]}.")
    if name in SHUT_OUT:
        return TransientError(f"Slack refuses {method}: {SHUT_OUT[name]}.")
    if name == "missing_scope":
        return PermanentError(
            f"Slack refuses {method}: the app lacks the scope {needed}. Compare its scopes with "
            "`kcibot slack-manifest`, and install it again."
        )
    return PermanentError(f"Slack refuses {method}: {WHY.get(name, name)}.")


def _never_arrived(reason: object) -> bool:
    import socket  # noqa: PLC0415 (only when something is wrong)

    return isinstance(reason, ConnectionRefusedError | socket.gaierror)


def _seconds(text: str) -> float:
    """Whole seconds, as published; half a minute where Slack does not say it."""
    return min(float(text), LONGEST_WAIT) if text.isascii() and text.isdecimal() else 30.0
