"""The bot's Slack adapter on a Slack stand-in, with an inbox in memory that can be slow, or refuse."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

from kcibot.chat.slack.adapter import SlackChat
from kcibot.chat.slack.manifest import APP_SCOPES, EVENTS, SCOPES
from kcibot.chat.slack.settings import SlackSettings
from kcibot.core.message import Incoming, Place
from kcibot.core.notice import Button, Level, Notice
from kcibot.sandbox.slack import Pace, SlackApp, SlackStandIn
from tests.fakes.inbox import MemoryInbox
from tests.fakes.slack_people import RELEASES, eventually, team

HERE = Place("slack", RELEASES)
OUR_APP = SlackApp(scopes=frozenset(SCOPES), app_scopes=frozenset(APP_SCOPES), events=frozenset(EVENTS))
"""The app as our own manifest makes it, so that whatever it lacks shows."""


class Desk(MemoryInbox):
    """A `Listener`. `seconds` is how long storing takes; `connections` counts calls of `connected`."""

    def __init__(self) -> None:
        super().__init__()
        self.connections = 0
        self.heard_before: list[int] = []
        self.open = threading.Event()
        self.open.set()

    def accept(self, event: Incoming) -> bool:
        self.open.wait(20)
        return super().accept(event)

    def hand_over(self, event: Incoming) -> None:
        self.accept(event)

    def connected(self, network: str) -> None:
        assert network == "slack"
        self.heard_before.append(len(self.events))
        self.connections += 1

    @property
    def texts(self) -> list[str]:
        return [event.text for event in self.events]


def people(person: str) -> str:
    return {"operator": "U0OPER", "manager-1": "U0MAN1"}.get(person, "")


def chat_on(slack: SlackStandIn, **more: Any) -> SlackChat:
    settings = SlackSettings(
        lambda: slack.app.bot_token,
        lambda: slack.app.app_token,
        (RELEASES,),
        slack.api,
        timedelta(seconds=5),
        ping=timedelta(seconds=0.5),
    )
    return SlackChat(replace(settings, **more), people)


@contextmanager
def running(
    slack: SlackStandIn, desk: Desk | None = None, chat: SlackChat | None = None
) -> Iterator[tuple[SlackChat, Desk]]:
    """The adapter, connected, with nothing left to be looked for."""
    desk, chat = desk or Desk(), chat or chat_on(slack)
    before = desk.connections
    chat.start(desk)
    try:
        eventually(lambda: desk.connections > before, "the connection")
        yield chat, desk
    finally:
        desk.open.set()
        chat.stop()


@contextmanager
def bot(pace: Pace | None = None, **more: Any) -> Iterator[tuple[SlackStandIn, SlackChat, Desk]]:
    """A stand-in and the adapter on it. At the end: nothing late, nothing lost, nothing that Slack would mind."""
    with team(pace, OUR_APP) as slack, running(slack, None, chat_on(slack, **more)) as (chat, desk):
        yield slack, chat, desk
        assert not slack.remarks


def prompt(title: str = "Approve the tags?", code: str = "abc123") -> Notice:
    buttons = (Button("Approve", f"!approve {code}"), Button("Reject", f"!reject {code}"))
    return Notice(title, Level.PROMPT, ("core: v1.2",), buttons=buttons, milestone="open")
