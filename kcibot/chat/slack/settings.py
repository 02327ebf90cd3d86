"""What a Slack app in Socket Mode needs to know. Tokens are asked for when they are sent, and kept nowhere."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path


@dataclass(frozen=True)
class SlackSettings:
    """`channels` are ids (`C0123`) of which the bot is a member. `missed`: how far back is looked after an absence.

    `name` is what a mention of the bot is read as. `ping` is how often the connection is tried; after four times that
    long without an answer it is given up. `fonts` is where the library that draws pictures keeps its list of fonts;
    without it none is drawn.
    """

    bot_token: Callable[[], str]
    app_token: Callable[[], str]
    channels: tuple[str, ...]
    api: str = "https://slack.com/api/"
    timeout: timedelta = timedelta(seconds=30)
    missed: timedelta = timedelta(hours=24)
    network: str = "slack"
    name: str = "kcibot"
    ping: timedelta = timedelta(seconds=10)
    fonts: Path | None = None
