"""From what Slack delivers to the inbox: checked, translated, stored; only then may it be acknowledged."""

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

from kcibot.chat.slack.answers import Answers
from kcibot.chat.slack.buttons import Offers
from kcibot.chat.slack.heard import (
    TS,
    Press,
    Said,
    Us,
    is_out_of_sight,
    moment,
    number,
    presses,
    reacted,
    said,
)
from kcibot.chat.slack.people import Account, Directory
from kcibot.chat.slack.rooms import Rooms
from kcibot.chat.slack.settings import SlackSettings
from kcibot.core.message import EventKind, Incoming, MessageRef, Place
from kcibot.core.ports import Listener
from kcibot.errors import TransientError

log = logging.getLogger(__name__)

Event = Mapping[str, Any]
HOLD_SECONDS = 1.5
"""How long new lines wait for those that were missed, so that all come in their order.

Three is Slack's limit, and who wrote a line may have to be looked up as well.
"""


class Ear:
    """Called on the one thread of a connection; `line` also on that which looks for missed lines.

    `reached` is up to when the lines of each channel were handed on; it stands still while there may be a `gap`.
    `must_look` is set when there is something to be looked for in the history.
    """

    def __init__(
        self,
        settings: SlackSettings,
        us: Callable[[], Us],
        people: Directory,
        offers: Offers,
        answers: Answers,
        rooms: Rooms,
        listener: Listener,
    ) -> None:
        self._settings = settings
        self._us = us
        self._people = people
        self._offers = offers
        self._answers = answers
        self._rooms = rooms
        self._listener = listener
        self._kinds: Mapping[str, Callable[[Event], None]] = {
            "message": self._message,
            "app_mention": self._mention,
            "reaction_added": self._reaction,
            "reaction_removed": self._reaction,
            "member_left_channel": self._left,
            "member_joined_channel": self._joined,
        }
        self.reached: dict[str, str] = {}
        self.caught_up = threading.Event()
        self.must_look = threading.Event()
        self.gap = threading.Event()
        self.closed = threading.Event()

    def event(self, body: Event) -> None:
        """An event of the Events API. What it raises must not be acknowledged."""
        event = body.get("event")
        if isinstance(event, dict):
            hear = self._kinds.get(str(event.get("type")))
            if hear is not None:
                self._noting_failure(hear, event)

    def press(self, body: Event) -> None:
        """A button was pressed: as if the one who did had typed its command. Raises as `event`."""
        try:
            self._press(body)
        except Exception as error:
            log.warning("a press of a button was not stored, and is not acknowledged: %s", error)
            raise

    def _press(self, body: Event) -> None:
        for press in presses(body):
            if press.said.channel not in self._settings.channels:
                log.warning("a button was pressed in %s, which is not served", press.said.channel)
            elif is_out_of_sight(body) or not self._offers.has(press):
                log.warning("%s pressed a button that is not there: %r", press.said.user, press.said.text[:100])
                self._answers.out_of_date(press.said.channel, press.said.user)
            else:
                self._pressed(press)

    def line(self, message: Event, channel: str) -> None:
        """A message of a served channel, as it came or as its history has it. Raises what storing raises."""
        line = said(message, channel, self._us())
        if line is not None:
            self._accept(self._typed(line))

    # ---- events ------------------------------------------------------------------------------------------------

    def _noting_failure(self, hear: Callable[[Event], None], event: Event) -> None:
        if self.closed.is_set():
            raise TransientError("Slack is not listened to any more.")
        try:
            hear(event)
        except Exception as error:
            log.warning("an event of Slack's was not stored, and is not acknowledged: %s", error)
            self._look_again()
            raise

    def _message(self, event: Event) -> None:
        channel = str(event.get("channel"))
        if event.get("channel_type") == "im":
            line = said(event, channel, self._us())
            if line is not None:
                self._answers.belongs_elsewhere(channel, line.user)
            return
        if channel not in self._settings.channels:
            return
        self._hold()
        self.line(event, channel)
        self._advance(channel, str(event.get("ts")))

    def _mention(self, event: Event) -> None:
        """In a served channel the same line is a message event, too, and that one tells what it is."""
        channel = str(event.get("channel"))
        line = said(event, channel, self._us()) if channel not in self._settings.channels else None
        if line is not None:
            self._answers.belongs_elsewhere(channel, line.user)

    def _reaction(self, event: Event) -> None:
        found = reacted(event)
        if found is None or found.channel not in self._settings.channels or found.user == self._us().user:
            return
        kind = EventKind.REACTION_ADDED if event["type"] == "reaction_added" else EventKind.REACTION_REMOVED
        who = self._who(found.user, "")
        place, target = self._place(found.channel), MessageRef(self._settings.network, found.channel, found.item)
        at = moment(found.ts)
        self._accept(Incoming(found.event_id, kind, place, who.identity, who.nick, found.name, at, target))

    def _left(self, event: Event) -> None:
        if event.get("user") == self._us().user and event.get("channel") in self._settings.channels:
            log.error("the bot was removed from %s, and does not hear it any more: invite it", event["channel"])

    def _joined(self, event: Event) -> None:
        """What was said there before the bot came is looked for."""
        if event.get("user") == self._us().user and event.get("channel") in self._settings.channels:
            self._rooms.note_open(str(event["channel"]))
            self._look_again()

    def _pressed(self, press: Press) -> None:
        if self.closed.is_set():
            raise TransientError("Slack is not listened to any more.")
        self._accept(self._typed(press.said))

    # ---- the inbox ---------------------------------------------------------------------------------------------

    def _typed(self, line: Said) -> Incoming:
        who = self._who(line.user, line.team)
        place = self._place(line.channel)
        return Incoming(
            line.event_id, EventKind.MESSAGE, place, who.identity, who.nick, line.text.strip(), moment(line.ts)
        )

    def _accept(self, event: Incoming) -> None:
        self._listener.accept(event)

    def _who(self, user: str, team: str) -> Account:
        return self._people.who(user, team, self._us().team)

    def _place(self, channel: str) -> Place:
        return Place(self._settings.network, channel)

    def _hold(self) -> None:
        """Once it took too long, those that come behind do not wait as well."""
        if not self.caught_up.wait(HOLD_SECONDS):
            self.caught_up.set()
            self._look_again()

    def _look_again(self) -> None:
        self.gap.set()
        self.must_look.set()

    def _advance(self, channel: str, ts: str) -> None:
        if TS.fullmatch(ts) and not self.gap.is_set() and channel in self.reached:
            self.reached[channel] = max(self.reached[channel], ts, key=number)
