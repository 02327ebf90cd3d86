"""The addresses that come with a button press, by which its message is replaced or answered.

Published ("Handling user interaction"): five uses within 30 minutes, ephemeral unless `response_type` says otherwise,
`replace_original`, `delete_original`. The text of a refusal is not verified.
"""

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kcibot.sandbox.http import Request, Response
from kcibot.sandbox.slack.blocks import check
from kcibot.sandbox.slack.message import Ephemeral, Message
from kcibot.sandbox.slack.people import TEAM
from kcibot.sandbox.slack.workspace import Workspace

MOST_USES = 5
KNOWN = {"text", "blocks", "response_type", "replace_original", "delete_original", "thread_ts", "attachments"}


@dataclass(slots=True)
class _Address:
    channel: str
    ts: str
    user: str
    uses: int = 0


class ResponseUrls:
    """`url` is the stand-in's own, asked for when an address is made."""

    def __init__(self, workspace: Workspace, url: Callable[[], str]) -> None:
        self._workspace = workspace
        self._url = url
        self._addresses: dict[str, _Address] = {}

    def new(self, channel: str, ts: str, user: str) -> str:
        path = f"/actions/{TEAM}/{secrets.token_hex(8)}"
        self._addresses[path] = _Address(channel, ts, user)
        return f"{self._url()}{path}"

    def respond(self, request: Request) -> Response:
        address = self._addresses.get(request.path)
        if address is None or address.uses >= MOST_USES:
            return Response(404, b"used_url")
        try:
            value = json.loads(request.body)
        except ValueError:
            return Response(400, b"invalid_payload")
        if not isinstance(value, dict) or set(value) - KNOWN:
            return Response(400, b"invalid_payload")
        if check(value.get("blocks", [])).errors:
            return Response(400, b"invalid_blocks")
        address.uses += 1
        self._do(address, value)
        return Response(200, b"ok")

    def _do(self, address: _Address, value: dict[str, Any]) -> None:
        workspace, text, blocks = self._workspace, str(value.get("text", "")), value.get("blocks", [])
        if value.get("delete_original"):
            workspace.delete(workspace.message(address.channel, address.ts))
        elif value.get("replace_original"):
            workspace.change(workspace.message(address.channel, address.ts), "", text=text, blocks=blocks)
        elif value.get("response_type") == "in_channel":
            app = workspace.app
            message = Message(address.channel, workspace.new_ts(), app.user, text, TEAM, app.bot, app.id, blocks=blocks)
            workspace.post(message)
        else:
            ts = workspace.new_ts()
            workspace.ephemerals.append(Ephemeral(address.channel, address.user, ts, text, tuple(blocks)))
