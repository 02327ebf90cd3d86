"""A release played by scripted persons: they read the room, answer the prompts that they may answer, and wait."""

import re
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Protocol

from kcibot.chat.room import Event, RoomKind
from kcibot.core.notice import Level, Notice
from kcibot.sandbox.clock import SandboxClock

PATIENCE_SECONDS = 180.0
LOOK_SECONDS = 0.05
COMMENT_WINDOW = timedelta(hours=27)
AFTERWARDS = timedelta(minutes=40)
"""What is put forward after the release, three times: for the builds, for the labs, and for the end of the watch."""
TIMES = 3
FIRST_RESULTS = "first-results:"
OPEN_NOTE = re.compile(r"^ *\[ \] ([0-9a-f]{6}) ")
"""A line of the checklist of job definitions that nobody has ticked."""

VOTERS = {"go": ("operator", "manager-1"), "accept": ("manager-2",), "force": ("manager-1", "manager-2")}
"""Who reacts to which gate, in this order; to all others the operator does. The operator tries `go` in vain."""


class Stage(Protocol):
    """Where it is played: the console room, or another network that is looked at from there."""

    def say(self, person: str, text: str) -> object: ...

    def react(self, person: str, target: int, emoji: str) -> object: ...

    def read(self, after: int) -> Sequence[Event]: ...


class Play:
    """The script. `alive` says whether the bot still runs; without it there is nothing to wait for.

    `busy` makes Jenkins busy after the time that is passed over, so that a drain has something to wait for.
    """

    def __init__(
        self, room: Stage, clock: SandboxClock, alive: Callable[[], bool], busy: Callable[[], None] | None = None
    ) -> None:
        self._room = room
        self._clock = clock
        self._alive = alive
        self._busy = busy
        self._seen = 0
        self._messages: dict[int, str] = {}
        self._cards: dict[str, Notice] = {}
        self._waited = False
        self._put_forward = 0
        self._told = ""

    def run(self) -> list[str]:
        """Play it to its end; what went wrong in the room, in sentences, nothing if all went well."""
        self._room.say("observer", "!help release")
        self._room.say("operator", "!release prepare")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            for event in self._room.read(self._seen):
                self._seen = event.number
                self._hear(event)
            state = self._state()
            if state == "aborted":
                return ["the release was aborted"]
            if state == "succeeded" and self._is_over():
                return []
            if state in {"failed", "unknown"}:
                return [f"the release stands still: {self._card().title}"]
            if not self._alive():
                return ["the bot is gone"]
            time.sleep(LOOK_SECONDS)  # people look now and then
        return [f"the release did not end within {PATIENCE_SECONDS:.0f} s: {self._card().title}"]

    def _hear(self, event: Event) -> None:
        if event.kind not in {RoomKind.POST, RoomKind.EDIT} or event.notice is None:
            return
        if event.kind is RoomKind.POST:
            self._messages[event.number] = event.key
            if event.notice.level is Level.PROMPT:
                self._answer(event)
        key = event.key or self._messages.get(event.target, "")
        if key.startswith(FIRST_RESULTS):
            self._told = key
        if key.endswith(":card"):
            self._cards[key] = event.notice
            self._pass_time(event.notice)

    def _answer(self, event: Event) -> None:
        gate = event.key.split(":gate:")[-1].split(":")[0]
        codes = [code for line in event.notice.lines for code in OPEN_NOTE.findall(line)] if event.notice else []
        if codes:
            self._room.say("operator", f"!jobs tick {' '.join(codes)}")
        for person in VOTERS.get(gate, ("operator",)):
            self._room.react(person, event.number, "+1")

    def _pass_time(self, card: Notice) -> None:
        """Nobody waits a day in a demonstration."""
        if not self._waited and any("Comment window" in line and "comments" in line for line in card.lines):
            self._waited = True
            self._clock.advance(COMMENT_WINDOW)
            if self._busy:
                self._busy()

    def _is_over(self) -> bool:
        """Nobody waits for the first results either: each time that something new is said of them, on to the next."""
        if self._told.endswith(":end"):
            return True
        if self._put_forward < TIMES and (not self._put_forward or self._told):
            self._put_forward, self._told = self._put_forward + 1, ""
            self._clock.advance(AFTERWARDS)
        return False

    def _card(self) -> Notice:
        return list(self._cards.values())[-1] if self._cards else Notice("there is no card")

    def _state(self) -> str:
        parts = self._card().title.split(" · ")
        return parts[1] if len(parts) > 1 else ""
