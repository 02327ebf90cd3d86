"""The sandbox's own configuration of the bot."""

from datetime import timedelta

import yaml

from kcibot.core.command import read_span
from kcibot.sandbox.config_text import TEXT
from kcibot.sandbox.demo import AUTO_RATE

SLOW_START = timedelta(minutes=5)


def test_what_is_typed_while_the_bot_starts_is_not_too_old_for_it() -> None:
    head = TEXT.partition("chat:")[0]
    assert read_span(yaml.safe_load(head)["bot"]["stale"]) > SLOW_START * AUTO_RATE
