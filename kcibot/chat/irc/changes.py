"""Which change of a message is worth a line, where nothing that was said can be edited, and what is said of it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from kcibot.core.notice import Level, Notice

LOUDNESS: Mapping[Level, int] = MappingProxyType(
    {Level.INFO: 0, Level.SUCCESS: 0, Level.PROMPT: 1, Level.WARNING: 1, Level.ALERT: 2, Level.ERROR: 2}
)


@dataclass(frozen=True)
class Said:
    """What was last said of a message: its milestone, how loud, its essence, and when (seconds of a steady clock)."""

    milestone: str
    level: Level
    essence: str
    at: float


NEVER = Said("", Level.INFO, "", 0.0)
"""Of a message of another life nothing is remembered: it counts as quiet, and as before its first milestone."""


def note(notice: Notice, at: float) -> Said:
    """People have been told of it, as it is."""
    return Said(notice.milestone, notice.level, _essence(notice), at)


def is_news(said: Said, notice: Notice) -> bool:
    """It became louder than when people heard of it last, or at another milestone its essence is another."""
    if LOUDNESS[notice.level] > LOUDNESS[said.level]:
        return True
    return notice.milestone != said.milestone and _essence(notice) != said.essence


def short(notice: Notice) -> Notice:
    """The change in one line.

    What has milestones is told of step by step, and who has to act was asked when it was posted. Of what only became
    louder, those whom it concerns are called, and the rest is kept for who wants to read it.
    """
    level = Level.INFO if notice.level is Level.PROMPT else notice.level
    if not notice.milestone:
        return replace(notice, level=level, brief=_essence(notice))
    return Notice(notice.title, level, progress=notice.progress, brief=_essence(notice), milestone=notice.milestone)


def _essence(notice: Notice) -> str:
    return notice.brief or notice.title
