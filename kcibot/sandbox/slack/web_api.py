"""The methods of the Web API that the stand-in knows: their arguments, the token and the scope each needs.

Published: HTTP 200 with `ok: false` for an error, the names not_authed, invalid_auth, not_allowed_token_type,
missing_scope (with `needed` and `provided`), the scopes per method, the header x-oauth-scopes. An argument that a
method does not know is passed over by Slack; here it is remarked on. Not verified: which of the token errors wins.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kcibot.sandbox.http import Request, Response, json_response
from kcibot.sandbox.slack import chat_methods, conversation_methods, file_methods, reaction_methods
from kcibot.sandbox.slack.call import Call, Refusal, arguments, header
from kcibot.sandbox.slack.people import TEAM, SlackApp


@dataclass(frozen=True, slots=True)
class Method:
    """`scope` is "" when none is needed or when it depends on the channel; `kind` is that of the token."""

    answer: Callable[[Call], dict[str, Any]]
    arguments: frozenset[str]
    scope: str = ""
    kind: str = "bot"
    json_refused: str = ""


@dataclass(frozen=True, slots=True)
class Called:
    """A call that was made, for looking at: what was sent and what was answered, "" for no error."""

    method: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""


def _test(call: Call) -> dict[str, Any]:
    app = call.workspace.app
    who = {"user_id": app.user, "user": app.name, "bot_id": app.bot}
    return {"url": "https://kernelci.slack.com/", "team": "KernelCI", "team_id": TEAM, **who}


def _open_connection(call: Call) -> dict[str, Any]:
    address = call.url.replace("http://", "ws://", 1)
    return {"url": f"{address}/link/?ticket={call.new_ticket()}&app_id={call.workspace.app.id}"}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_POST = _words("channel text blocks attachments thread_ts metadata link_names parse mrkdwn unfurl_links unfurl_media")
_PAGES = _words("channel cursor inclusive latest oldest limit include_all_metadata")
_CHAT = "chat:write"
METHODS: Mapping[str, Method] = {
    "auth.test": Method(_test, _words("")),
    "apps.connections.open": Method(_open_connection, _words(""), "connections:write", "app"),
    "chat.postMessage": Method(chat_methods.post_message, _POST | _words("reply_broadcast"), _CHAT),
    "chat.postEphemeral": Method(chat_methods.post_ephemeral, _POST - {"metadata"} | {"user"}, _CHAT),
    "chat.update": Method(
        chat_methods.update,
        _words("channel ts text blocks attachments metadata link_names parse reply_broadcast file_ids"),
        _CHAT,
    ),
    "chat.delete": Method(chat_methods.delete, _words("channel ts"), _CHAT),
    "chat.getPermalink": Method(chat_methods.permalink, _words("channel message_ts")),
    "reactions.get": Method(reaction_methods.get, _words("channel timestamp full"), "reactions:read"),
    "reactions.add": Method(reaction_methods.add, _words("channel timestamp name"), "reactions:write"),
    "reactions.remove": Method(reaction_methods.remove, _words("channel timestamp name"), "reactions:write"),
    "users.info": Method(conversation_methods.user_info, _words("user include_locale"), "users:read"),
    "conversations.info": Method(conversation_methods.info, _words("channel include_locale include_num_members")),
    "conversations.history": Method(conversation_methods.history, _PAGES),
    "conversations.replies": Method(conversation_methods.replies, _PAGES | {"ts"}),
    "conversations.open": Method(
        conversation_methods.open_direct, _words("users return_im prevent_creation"), "im:write"
    ),
    "files.getUploadURLExternal": Method(
        file_methods.get_upload_url,
        _words("filename length alt_txt snippet_type"),
        "files:write",
        json_refused="invalid_arguments",
    ),
    "files.completeUploadExternal": Method(
        file_methods.complete_upload,
        _words("files channel_id channels initial_comment thread_ts blocks"),
        "files:write",
        json_refused="invalid_arguments",
    ),
}


def read(request: Request, method: Method, app: SlackApp, shut_out: str = "") -> dict[str, Any]:
    """The call's arguments, once its token was found good for the method. Raises Refusal, `shut_out` for any token."""
    given = arguments(request, method.json_refused)
    token = header(request, "Authorization").removeprefix("Bearer ").strip() or str(given.get("token", ""))
    given.pop("token", None)
    if shut_out:
        raise Refusal(shut_out)
    _check_token(token, method, app)
    return given


def _check_token(token: str, method: Method, app: SlackApp) -> None:
    if not token:
        raise Refusal("not_authed")
    tokens = {app.bot_token: ("bot", app.scopes), app.app_token: ("app", app.app_scopes)}
    if token not in tokens:
        raise Refusal("invalid_auth")
    kind, scopes = tokens[token]
    if kind != method.kind:
        raise Refusal("not_allowed_token_type")
    if method.scope and method.scope not in scopes:
        raise Refusal("missing_scope", needed=method.scope, provided=",".join(sorted(scopes)))


def answered(value: dict[str, Any], warnings: list[str], app: SlackApp, method: Method | None) -> Response:
    """The HTTP answer: always 200, with the headers that tell the scopes."""
    if warnings:
        value = {**value, "warning": ",".join(warnings)}
        value["response_metadata"] = value.get("response_metadata", {}) | {"warnings": warnings}
    scopes = app.app_scopes if method and method.kind == "app" else app.scopes
    headers = {"x-oauth-scopes": ",".join(sorted(scopes)), "x-accepted-oauth-scopes": method.scope if method else ""}
    return json_response(value, headers=headers)


def too_many(seconds: int) -> Response:
    """Published ("Rate limits"): 429, Retry-After in seconds, the error `ratelimited`."""
    return json_response({"ok": False, "error": "ratelimited"}, 429, {"Retry-After": str(seconds)})
