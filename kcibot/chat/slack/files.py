"""What follows a message as a file in its thread: the whole of what was too long for it, and its picture.

A file is uploaded when a message first needs one, and again when its level has changed: a question was answered, a wait
has ended. What else is edited is in the message alone, where the picture is a line of text. The name of a file says
to which message and level it belongs, so that one that is there already is known again after a crash.
"""

import hashlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

from kcibot.chat.slack.heard import Us
from kcibot.chat.slack.text import escape
from kcibot.chat.slack.web import File, SlackWeb
from kcibot.core.notice import Level, Notice, Picture
from kcibot.core.sparkline import sparklines
from kcibot.errors import KcibotError, OutcomeUnknown

log = logging.getLogger(__name__)

TITLE, DESCRIBED = 80, 1000
MOST = 2000
DRAWING = timedelta(seconds=20)
"""The very first picture takes the longest. What is said next on the network waits for it."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A message, and the one with which its thread begins: itself, unless it is a reply."""

    channel: str
    ts: str
    root: str


@dataclass(frozen=True, slots=True)
class Annex:
    """What belongs to a message and is not in it: the whole as a text, empty if all of it is shown, and the picture."""

    title: str
    level: Level
    rest: str
    picture: Picture | None


def annex(notice: Notice, rest: str) -> Annex:
    """What follows the notice, of which `rest` is not shown."""
    return Annex(notice.title[:TITLE], notice.level, rest, notice.picture)


class Files:
    """Called by the one sender thread. That a file cannot be uploaded does not make its message unsaid.

    `fonts` is where the drawing library keeps its list of fonts; without it no picture is drawn.
    """

    def __init__(self, web: SlackWeb, us: Callable[[], Us], fonts: Path | None) -> None:
        self._web = web
        self._us = us
        self._fonts = fonts
        self._done: dict[str, None] = {}

    def follow(self, spot: Spot, new: Annex) -> None:
        """Upload what belongs to a message that was posted just now."""
        for name in self._needed(spot, new):
            self._give(spot, new, name)

    def complete(self, spot: Spot, new: Annex) -> None:
        """As `follow`, for what was edited or found again: what is there already is not uploaded.

        Raises if that cannot be seen.
        """
        needed = list(self._needed(spot, new))
        there = self._there(spot) if needed else frozenset()
        for name in needed:
            if name in there:
                self._note(name)
            else:
                self._give(spot, new, name)

    def _needed(self, spot: Spot, new: Annex) -> Iterator[str]:
        """The names of the files that this process did not deal with yet."""
        mark = hashlib.sha256(f"{spot.channel}:{spot.ts}:{new.level}".encode()).hexdigest()[:12]
        for kind, is_needed in (("txt", bool(new.rest)), ("png", new.picture is not None)):
            name = f"kcibot-{mark}.{kind}"
            if is_needed and name not in self._done:
                yield name

    def _note(self, name: str) -> None:
        self._done[name] = None
        if len(self._done) > MOST:
            self._done.pop(next(iter(self._done)))

    def _there(self, spot: Spot) -> frozenset[str]:
        """The names of our files in the thread, from that message on."""
        written = self._web.pages("conversations.replies", channel=spot.channel, ts=spot.root, oldest=spot.ts)
        ours = [message.get("files") for message in written if self._us().wrote(message)]
        some = [file for files in ours if isinstance(files, list) for file in files]
        return frozenset(str(file.get("name")) for file in some if isinstance(file, dict))

    def _give(self, spot: Spot, new: Annex, name: str) -> None:
        self._note(name)
        file = self._made(new, name)
        if file is None:
            return
        try:
            self._upload(spot, file)
        except KcibotError as error:
            log.warning("%s was not uploaded below %s: %s", name, spot.ts, error)
            if name.endswith(".txt"):  # the picture is in the message as a line of text
                self._regret(spot, error)

    def _upload(self, spot: Spot, file: File) -> None:
        try:
            self._web.upload(spot.channel, spot.root, file)
        except OutcomeUnknown:
            if file.name not in self._there(spot):
                raise

    def _made(self, new: Annex, name: str) -> File | None:
        if name.endswith(".txt"):
            return File(name, new.title, new.rest.encode(errors="replace"))
        picture = new.picture
        content = self._drawn(picture) if picture else b""
        if not picture or not content:
            return None
        described = "\n".join((picture.title, *sparklines(picture)))[:DESCRIBED]
        return File(name, picture.title[:TITLE] or new.title, content, described)

    def _drawn(self, picture: Picture) -> bytes:
        """Empty if it cannot be drawn."""
        if self._fonts is None or find_spec("matplotlib") is None:
            return b""
        from kcibot.chat.pictures import drawn_as_png  # noqa: PLC0415 (few messages have a picture)

        return drawn_as_png(picture, self._fonts, DRAWING)

    def _regret(self, spot: Spot, error: KcibotError) -> None:
        text = escape(f"I could not upload the rest of this: {error}")
        try:
            self._web.act("chat.postMessage", channel=spot.channel, thread_ts=spot.root, text=text)
        except KcibotError as another:
            log.warning("and that could not be said: %s", another)
