"""Tokens are asked for when they are sent, and are in no log, no error and no repr, whatever goes wrong."""

import logging

import pytest

from kcibot.core.message import MessageRef
from kcibot.core.notice import Notice
from kcibot.errors import KcibotError
from kcibot.sandbox.http import FaultKind
from kcibot.sandbox.slack import SlackApp
from tests.fakes.slack_bot import HERE, OUR_APP, Desk, chat_on, running
from tests.fakes.slack_people import OPERATOR, RELEASES, eventually, team

BOT, APP = "xoxb-1111-very-secret", "xapp-1-2222-very-secret"
SECRET = SlackApp(BOT, APP, OUR_APP.scopes, OUR_APP.app_scopes, OUR_APP.events)


def test_no_token_and_no_ticket_is_in_any_log_even_when_everything_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with team(None, SECRET) as slack, caplog.at_level(logging.DEBUG), running(slack) as (chat, desk):
        slack.spoil("apps.connections.open", FaultKind.STATUS)
        for kind in (FaultKind.STATUS, FaultKind.RESET_BEFORE, FaultKind.HTML, FaultKind.EMPTY):
            slack.spoil("chat.postMessage", kind)
            with pytest.raises(KcibotError) as raised:
                chat.post(HERE, Notice("x"), "k")
            assert "very-secret" not in f"{raised.value!r} {raised.value.__cause__!r}"
            assert raised.value.__suppress_context__
        slack.refuse_websockets(1)
        slack.drop_sockets()
        slack.say(OPERATOR, RELEASES, "!ping")
        eventually(lambda: desk.connections == 2)
    tickets = [request.query for request in slack.requests if request.path == "/link/"]
    assert tickets
    assert "very-secret" not in caplog.text
    assert not [ticket for ticket in tickets if ticket and ticket in caplog.text]


def test_a_token_with_a_line_break_in_it_is_refused_without_being_shown() -> None:
    with team(None, SECRET) as slack:
        chat = chat_on(slack, bot_token=lambda: f"{BOT}\nX-Header: 1")
        with pytest.raises(KcibotError) as raised:
            chat.post(HERE, Notice("x"), "k")
        assert "very-secret" not in str(raised.value)
        assert not slack.requests


def test_the_adapter_keeps_no_token_and_shows_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN", BOT)
    monkeypatch.setenv("SLACK_APP_TOKEN", APP)
    with team(None, SECRET) as slack, running(slack) as (chat, _):
        chat.post(HERE, Notice("x"), "k")
        seen: set[int] = set()
        assert not _held(chat, seen, 0)
        assert "very-secret" not in repr(chat) + repr(vars(chat))


def test_a_token_that_was_changed_is_used_from_then_on() -> None:
    with team(None, SECRET) as slack:
        token = [BOT]
        chat = chat_on(slack, bot_token=lambda: token[0])
        chat.post(HERE, Notice("x"), "k")
        token[0] = "xoxb-other"
        with pytest.raises(KcibotError, match="invalid_auth"):
            chat.reactions(MessageRef("slack", RELEASES, "1700000000.000100"))


def test_the_token_is_not_asked_for_before_there_is_something_to_send() -> None:
    asked: list[str] = []

    def token() -> str:
        asked.append("once")
        return BOT

    with team(None, SECRET) as slack:
        chat = chat_on(slack, bot_token=token)
        assert not asked
        chat.start(Desk())
        eventually(lambda: asked)
        chat.stop()


def _held(thing: object, seen: set[int], depth: int) -> list[str]:
    """Where a token is kept in what hangs together with that object."""
    if id(thing) in seen or depth > 8:
        return []
    seen.add(id(thing))
    if isinstance(thing, str):
        return [thing] if "very-secret" in thing else []
    if isinstance(thing, dict):
        parts = [*thing.keys(), *thing.values()]
    elif isinstance(thing, list | tuple | set | frozenset):
        parts = list(thing)
    elif type(thing).__module__.startswith(("kcibot.chat", "slack_")):
        parts = [getattr(thing, name) for name in getattr(thing, "__dict__", {})]
    else:
        return []
    return [found for part in parts for found in _held(part, seen, depth + 1)]
