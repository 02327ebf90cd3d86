"""Watches: what the bot looks at again and again, apart from any run, so that nothing is forgotten."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from kcibot.core.journal import Change
from kcibot.core.notice import Notice
from kcibot.core.ports import Ports

S = TypeVar("S")


class Watcher(Protocol):
    """What a watch is given to work with."""

    ports: Ports
    now: datetime

    def settings(self, kind: type[S]) -> S: ...

    def recall(self, topic: str) -> Mapping[str, object]: ...

    def say(self, key: str, notice: Notice) -> tuple[Change, ...]:
        """The changes that tell every room."""
        ...


@dataclass(frozen=True, eq=False)
class Watch:
    """Called every `every`; returns changes to commit, none if there is nothing to say."""

    name: str
    every: timedelta
    look: Callable[[Watcher], tuple[Change, ...]]
