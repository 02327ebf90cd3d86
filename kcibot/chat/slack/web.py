"""Calls of Slack's Web API: questions and acts, each method left alone for as long as Slack asks for it."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import TYPE_CHECKING, Any

from kcibot.chat.slack.errors import RateLimitedError, failed, refused
from kcibot.chat.slack.settings import SlackSettings
from kcibot.errors import KcibotError, OutcomeUnknown, TransientError

if TYPE_CHECKING:
    from slack_sdk import WebClient
    from slack_sdk.web import SlackResponse

Answer = Mapping[str, Any]
Message = Mapping[str, Any]

PAGE = 200
UPLOAD = "files.upload"
GLANCE_SECONDS = 1.2
MOMENT_SECONDS, MOMENTS = 2.0, 3
"""A 429 had no effect; Slack mostly asks for a second. That is waited for, a few times, and longer ones are not."""


@dataclass(frozen=True, slots=True)
class File:
    """What is uploaded. `described` is for people who do not see pictures, up to 1000 characters."""

    name: str
    title: str
    content: bytes
    described: str = ""


def part(whole: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The object of that name; an empty one if there is none, or something else."""
    found = whole.get(name)
    return found if isinstance(found, dict) else {}


def messages(answer: Answer) -> list[Message]:
    """Those of one page. Raises TransientError if it is none: no page is not the same as an empty one."""
    found = answer.get("messages")
    if not isinstance(found, list):
        raise TransientError("Slack's answer about messages cannot be read.")
    return [message for message in found if isinstance(message, dict)]


def quiet(name: str) -> logging.Logger:
    """A logger for Slack's libraries: what they would say is said by us, without their headers and bodies."""
    logger = logging.getLogger(f"kcibot.slack.{name}")
    logger.setLevel(logging.CRITICAL)
    return logger


class SlackWeb:
    """Repeats nothing but what a 429 refused: whether else that is safe is not ours to know. For several threads."""

    def __init__(self, settings: SlackSettings) -> None:
        self._settings = settings
        self._until: dict[str, float] = {}
        self._lock = threading.Lock()

    def look(self, method: str, **arguments: object) -> Answer:
        """Ask something. Raises TransientError or PermanentError (NotFound)."""
        return self._look(method, arguments, self._settings.timeout.total_seconds())

    def glance(self, method: str, **arguments: object) -> Answer:
        """As `look`, for who has to acknowledge an event within three seconds."""
        return self._look(method, arguments, GLANCE_SECONDS)

    def _look(self, method: str, arguments: dict[str, object], seconds: float) -> Answer:
        def ask(client: "WebClient") -> "SlackResponse":
            return client.api_call(method, params=arguments)

        return self._call(method, ask, TransientError, self._settings.bot_token, seconds)

    def act(self, method: str, **arguments: object) -> Answer:
        """Change something. As `look`; raises OutcomeUnknown if it may have been done. May wait for a moment."""

        def do(client: "WebClient") -> "SlackResponse":
            return client.api_call(method, json=arguments)

        return self._done(method, do)

    def _done(self, method: str, do: Callable[["WebClient"], "SlackResponse"]) -> Answer:
        for _ in range(MOMENTS):
            try:
                return self._call(method, do, OutcomeUnknown, self._settings.bot_token)
            except RateLimitedError as error:
                if error.seconds > MOMENT_SECONDS:
                    raise
                time.sleep(error.seconds)  # whoever tries again by themselves, in growing steps, would take longer
        return self._call(method, do, OutcomeUnknown, self._settings.bot_token)

    def pages(self, method: str, **arguments: object) -> Iterator[Message]:
        """Every message of a conversation's history or thread, page by page. Raises as `look`, maybe half-way."""
        cursor: object = None
        while True:
            answer = self.look(method, limit=PAGE, cursor=cursor, **arguments)
            yield from messages(answer)
            cursor = part(answer, "response_metadata").get("next_cursor")
            if not cursor:
                return

    def socket_address(self) -> str:
        """Where to open the next WebSocket. It is good for one connection, and as secret as a token."""
        answer = self._call(
            "apps.connections.open",
            lambda client: client.api_call("apps.connections.open"),
            TransientError,
            self._settings.app_token,
        )
        return str(answer.get("url", ""))

    def upload(self, channel: str, thread: str, file: File) -> None:
        """Put a file below that message. Raises as `act`; a 429 on the way had no effect, for nothing is shown yet."""

        def send(client: "WebClient") -> "SlackResponse":
            return client.files_upload_v2(
                channel=channel,
                thread_ts=thread,
                filename=file.name,
                title=file.title,
                content=file.content,
                alt_txt=file.described or None,
            )

        self._done(UPLOAD, send)

    def _call(
        self,
        method: str,
        do: Callable[["WebClient"], "SlackResponse"],
        lost: type[KcibotError],
        token: Callable[[], str],
        seconds: float = 0.0,
    ) -> Answer:
        from slack_sdk.errors import SlackApiError, SlackClientError  # noqa: PLC0415 (not before it is used)

        self._allowed(method)
        client = self._client(token(), seconds or self._settings.timeout.total_seconds())
        try:
            data = do(client).data
        except SlackApiError as error:
            raise self._noted(method, refused(method, error, lost)) from None  # its request holds the token
        except (OSError, HTTPException, SlackClientError, ValueError, AttributeError, TypeError) as error:
            raise failed(method, error, lost) from None
        if not isinstance(data, dict):
            raise lost(f"Slack answered {method} with something that is no answer.")
        return data

    def _client(self, token: str, seconds: float) -> "WebClient":
        from slack_sdk import WebClient  # noqa: PLC0415 (not before it is used)

        if not token.strip() or not token.strip().isprintable():
            raise TransientError("A token of Slack's is empty, or has characters in it that no token has.")
        # its own handlers would post again after a reset
        return WebClient(
            token.strip(),
            self._settings.api,
            timeout=seconds,  # type: ignore[arg-type]  # it is handed to a socket, which takes parts of a second
            logger=quiet("web"),
            retry_handlers=[],
        )

    def _allowed(self, method: str) -> None:
        with self._lock:
            left = self._until.get(method, 0.0) - time.monotonic()
        if left > 0:
            raise RateLimitedError(method, left)

    def _noted(self, method: str, error: KcibotError) -> KcibotError:
        if isinstance(error, RateLimitedError):
            with self._lock:
                self._until[method] = time.monotonic() + error.seconds
        return error
