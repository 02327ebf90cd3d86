"""The sandbox's room on a Slack stand-in: for scripted persons, since no client of Slack's goes to a stand-in."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kcibot.chat.slack.manifest import APP_SCOPES, EVENTS, SCOPES
from kcibot.errors import TransientError, UserError
from kcibot.sandbox.config_text import Network
from kcibot.sandbox.slack.message import Message
from kcibot.sandbox.slack.people import SlackApp
from kcibot.sandbox.slack.stand_in import SlackStandIn

CHANNEL = "C0KERNELCI"
TOKENS = ("slack-bot-token", "slack-app-token")
PATIENCE_SECONDS = 30.0
LOOK_SECONDS = 0.05
APP = SlackApp(scopes=frozenset(SCOPES), app_scopes=frozenset(APP_SCOPES), events=frozenset(EVENTS))
"""As the bot's own manifest makes it, so that whatever that lacks shows."""

CONFIG = """\
  slack:
    bot_token: {{file: secrets/{bot_token}}}
    app_token: {{file: secrets/{app_token}}}
    api: "{api}"
"""


def user_id(person: str) -> str:
    """Such as U0MANAGER1."""
    return f"U0{person.replace('-', '').upper()}"


class SlackVoice:
    """Fulfils `voices.Voice` with somebody of the workspace."""

    def __init__(self, slack: SlackStandIn, user: str) -> None:
        self._slack = slack
        self._user = user

    def say(self, text: str) -> None:
        self._slack.say(self._user, CHANNEL, text)

    def approve(self, code: str) -> None:
        """Raises TransientError if the prompt does not come."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not (prompts := [one for one in self._slack.posted(CHANNEL) if _asks(one, code)]):
            if time.monotonic() > end:
                raise TransientError(f"The prompt {code} did not come to Slack.")
            time.sleep(LOOK_SECONDS)  # a person looks again
        self._slack.react(self._user, CHANNEL, prompts[-1].ts, "+1")

    def close(self) -> None:
        """Nobody leaves a workspace."""


class SlackRoom:
    """Fulfils `voices.Elsewhere`."""

    def __init__(self, slack: SlackStandIn) -> None:
        self.slack = slack

    @property
    def network(self) -> Network:
        bot_token, app_token = TOKENS
        block = CONFIG.format(bot_token=bot_token, app_token=app_token, api=self.slack.api)
        return Network(f"slack:{CHANNEL}", block, user_id)

    @property
    def welcome(self) -> str:
        raise UserError("No client comes to the Slack stand-in: add --auto, and scripted persons are there")

    def remarks(self) -> list[str]:
        late = [f"Slack waited too long for the acknowledgement of {one.type}" for one in self.slack.late]
        lost = [f"Slack gave up an event of the type {one.type}" for one in self.slack.lost]
        return [*self.slack.remarks, *late, *lost]

    def voice(self, person: str) -> SlackVoice:
        """The bot may come later: Slack keeps what is said."""
        return SlackVoice(self.slack, user_id(person))


@contextmanager
def slack_room(folder: Path, persons: tuple[str, ...]) -> Iterator[SlackRoom]:
    """A workspace with these persons and the bot in one channel; its tokens are below `folder`."""
    secrets = folder / "secrets"
    secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, token in zip(TOKENS, (APP.bot_token, APP.app_token), strict=True):
        (secrets / name).touch(mode=0o600)
        (secrets / name).write_text(token)
    slack = SlackStandIn(APP)
    with slack:
        for person in persons:
            slack.add_person(user_id(person), person)
        slack.add_channel(CHANNEL, "kernelci", APP.user, *map(user_id, persons))
        yield SlackRoom(slack)


def _asks(message: Message, code: str) -> bool:
    """Whether that is an open prompt: its buttons go when it is answered."""
    return any(str(button.get("value")) == f"!approve {code}" for button in message.buttons())
