"""One call of the Web API: its arguments however they were sent, and what a method needs to answer it."""

import email.parser
import email.policy
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kcibot.sandbox.http import Request
from kcibot.sandbox.slack.message import Message
from kcibot.sandbox.slack.people import Channel
from kcibot.sandbox.slack.uploads import Uploads
from kcibot.sandbox.slack.workspace import Workspace

TRUE = {"1", "true", "True"}
FALSE = {"", "0", "false", "False"}


class Refusal(Exception):
    """The answer is `ok: false` with this error; `messages` are explained in `response_metadata`, as Slack does."""

    def __init__(self, error: str, messages: tuple[str, ...] = (), **more: Any) -> None:
        super().__init__(error)
        self.error = error
        self.messages = messages
        self.more = more

    def as_json(self) -> dict[str, Any]:
        value: dict[str, Any] = {"ok": False, "error": self.error, **self.more}
        if self.messages:
            value["errors"] = list(self.messages)
            value["response_metadata"] = {"messages": [f"[ERROR] {message}" for message in self.messages]}
        return value


def arguments(request: Request, json_refused: str = "") -> dict[str, Any]:
    """What was sent, by query, form or JSON. `json_refused` is the error of a method that takes forms only.

    auth.test arrives with a content type of JSON and an empty body, which is none.
    """
    given: dict[str, Any] = {name: values[-1] for name, values in request.values().items()}
    kind = content_type(request)
    if not request.body:
        return given
    if kind == "application/json":
        if json_refused:
            raise Refusal(json_refused)
        return given | _object(request.body)
    if kind == "application/x-www-form-urlencoded":
        return given | {name: values[-1] for name, values in request.form().items()}
    if kind == "multipart/form-data":
        return given | {name: data.decode() for name, data in multipart(request).items()}
    raise Refusal("invalid_post_type" if kind else "missing_post_type")


def header(request: Request, name: str) -> str:
    return next((value for key, value in request.headers.items() if key.lower() == name.lower()), "")


def content_type(request: Request) -> str:
    return header(request, "Content-Type").split(";")[0].strip().lower()


def multipart(request: Request) -> dict[str, bytes]:
    """The parts of a form with files, by their names."""
    head = f"Content-Type: {header(request, 'Content-Type')}\r\n\r\n".encode()
    whole = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + request.body)
    parts = {}
    for part in whole.iter_parts():
        data = part.get_payload(decode=True)
        parts[str(part.get_param("name", header="content-disposition"))] = data if isinstance(data, bytes) else b""
    return parts


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        raise Refusal("invalid_json") from None
    if not isinstance(value, dict):
        raise Refusal("json_not_object")
    return value


@dataclass(slots=True)
class Call:
    """What a method sees. `warnings` go into its answer; `remark` keeps what is odd, but not refused, for the tests."""

    method: str
    arguments: Mapping[str, Any]
    workspace: Workspace
    uploads: Uploads
    url: str
    remark: Callable[[str], None]
    new_ticket: Callable[[], str]
    warnings: list[str] = field(default_factory=list)

    def text(self, name: str, default: str = "") -> str:
        value = self.arguments.get(name, default)
        if value is None:
            return default
        if isinstance(value, bool | list | dict):
            raise Refusal("invalid_arguments", (f"must be a string [json-pointer:/{name}]",))
        return str(value)

    def required(self, name: str) -> str:
        value = self.text(name)
        if not value:
            raise Refusal("invalid_arguments", (f"missing required field: {name}",))
        return value

    def number(self, name: str, default: int, most: int) -> int:
        text = self.text(name, str(default))
        if not text.isdecimal():
            raise Refusal("invalid_arguments", (f"must be an integer [json-pointer:/{name}]",))
        return min(int(text), most)

    def flag(self, name: str) -> bool:
        value = self.arguments.get(name, "")
        text = str(value) if isinstance(value, bool | int | str) else "?"
        if text not in TRUE | FALSE:
            raise Refusal("invalid_arguments", (f"must be a boolean [json-pointer:/{name}]",))
        return text in TRUE

    def structure(self, name: str, error: str) -> Any:
        """JSON, or a string that holds it; None when it was not given. Refused with `error` when it cannot be read."""
        value = self.arguments.get(name)
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError:
            raise Refusal(error) from None

    def timestamp(self, name: str, error: str) -> str:
        """A ts, or "" when it was not given."""
        ts = self.text(name)
        if ts and not re.fullmatch(r"\d{1,12}(\.\d{1,6})?", ts):
            raise Refusal(error)
        return ts

    def channel(self, name: str = "channel") -> Channel:
        """One of which the bot is a member.

        channel_not_found and not_in_channel are published; which of them a private channel gives is not verified.
        """
        channel = self.workspace.channels.get(self.required(name))
        inside = channel is not None and self.workspace.app.user in channel.members
        if channel is None or (channel.private and not inside):
            raise Refusal("channel_not_found")
        if not inside:
            raise Refusal("not_in_channel")
        return channel

    def need(self, scope: str) -> None:
        """Refuse with missing_scope unless the bot token has it."""
        app = self.workspace.app
        if scope not in app.scopes:
            raise Refusal("missing_scope", needed=scope, provided=",".join(sorted(app.scopes)))

    def message(self, channel: Channel, name: str = "ts") -> Message:
        found = self.workspace.messages.get(channel.id, {}).get(self.required(name))
        if found is None or found.subtype == "tombstone":
            raise Refusal("message_not_found")
        return found
