"""What persons do in the workspace, and what can be seen of it."""

import copy
from typing import Any

from kcibot.sandbox.slack import events
from kcibot.sandbox.slack.chat_methods import link_to
from kcibot.sandbox.slack.delivery import Delivery
from kcibot.sandbox.slack.message import Ephemeral, Message
from kcibot.sandbox.slack.people import Channel, Kind, Person
from kcibot.sandbox.slack.response_urls import ResponseUrls
from kcibot.sandbox.slack.text import typed
from kcibot.sandbox.slack.workspace import NoSuchThingError, Workspace, human


class Acts:
    """Persons act by their user ids. An act that Slack's client would not offer raises NoSuchThingError."""

    workspace: Workspace
    delivery: Delivery
    responses: ResponseUrls

    def add_person(self, user: str, name: str, kind: Kind = Kind.MEMBER) -> str:
        """The id again. A bot is given a bot id made of its user id."""
        bot_id = f"B{user[1:]}" if kind is Kind.BOT else ""
        self.workspace.people[user] = Person(user, name, kind, bot_id)
        return user

    def add_channel(self, channel: str, name: str, *members: str) -> str:
        """A public channel with those members; the app is one only if it is named (`app.user`)."""
        self.workspace.channels[channel] = Channel(channel, name, set(members))
        return channel

    def add_private_channel(self, channel: str, name: str, *members: str) -> str:
        self.workspace.channels[channel] = Channel(channel, name, set(members), private=True)
        return channel

    def join(self, user: str, channel: str) -> None:
        self.workspace.join(user, channel)

    def leave(self, user: str, channel: str) -> None:
        self.workspace.leave(user, channel)

    def say(self, user: str, channel: str, text: str, thread: str = "") -> str:
        """The ts of what was typed; `@name`, `#name`, links and `& < >` are made into what Slack makes of them."""
        users = {person.name: person.id for person in self.workspace.people.values()}
        users[self.workspace.app.name] = self.workspace.app.user
        channels = {place.name: place.id for place in self.workspace.channels.values() if place.name}
        return self.say_raw(user, channel, typed(text, users, channels), thread)

    def say_raw(self, user: str, channel: str, text: str, thread: str = "") -> str:
        """The ts of a message whose text is, in the event, exactly this."""
        with self.workspace.lock:
            message = human(self.workspace, self._inside(user, channel), channel, text)
            message.thread_ts = self.workspace.message(channel, thread).ts if thread else ""
            return self.workspace.post(message).ts

    def announce(self, channel: str, text: str, name: str = "webhook") -> str:
        """The ts of a message by an incoming webhook: subtype bot_message, a bot id, no user."""
        with self.workspace.lock:
            message = Message(channel, self.workspace.new_ts(), "", text, "", "BHOOK0001", subtype="bot_message")
            message.username = name
            return self.workspace.post(message).ts

    def share(self, user: str, source: str, ts: str, channel: str, comment: str = "") -> str:
        """The ts of a forwarded message: its text is the comment, the original an attachment (seen in recordings)."""
        with self.workspace.lock:
            original = self.workspace.message(source, ts)
            self._inside(user, source)
            message = human(self.workspace, self._inside(user, channel), channel, comment)
            message.attachments = [_forwarded(original, self.workspace.channel(source).name)]
            return self.workspace.post(message).ts

    def attach(self, user: str, channel: str, filename: str, comment: str = "") -> str:
        """The ts of a message by which a file is shared: subtype file_share, its text is the comment."""
        with self.workspace.lock:
            message = human(self.workspace, self._inside(user, channel), channel, comment)
            message.subtype, message.files = "file_share", [{"id": self.workspace.new_id("F"), "name": filename}]
            return self.workspace.post(message).ts

    def edit(self, user: str, channel: str, ts: str, text: str) -> None:
        """The author gives it another text, taken as it is."""
        with self.workspace.lock:
            message = self._own(user, channel, ts)
            fresh = human(self.workspace, self.workspace.person(user), channel, text)
            self.workspace.change(message, user, text=text, blocks=fresh.blocks)

    def unfurl(self, channel: str, ts: str, title: str) -> None:
        """Slack adds the preview of a link: a message_changed without an edit."""
        with self.workspace.lock:
            message = self.workspace.message(channel, ts)
            self.workspace.change(
                message, "", attachments=[{"id": 1, "title": title, "from_url": "https://example.org/"}]
            )

    def delete(self, user: str, channel: str, ts: str) -> None:
        with self.workspace.lock:
            self.workspace.delete(self._own(user, channel, ts))

    def react(self, user: str, channel: str, ts: str, name: str) -> None:
        """A skin tone is part of the name: `+1::skin-tone-2`. A second time is no event."""
        with self.workspace.lock:
            self._inside(user, channel)
            self.workspace.react(self.workspace.message(channel, ts), user, name)

    def unreact(self, user: str, channel: str, ts: str, name: str) -> None:
        with self.workspace.lock:
            if not self.workspace.unreact(self.workspace.message(channel, ts), user, name):
                raise NoSuchThingError(f"{user} did not react with {name}")

    def press(self, user: str, channel: str, ts: str, action_id: str) -> dict[str, Any]:
        """The payload that was sent; it can be sent again, or changed and sent, with `interact`."""
        with self.workspace.lock:
            payload = self._payload(self._inside(user, channel), self.workspace.message(channel, ts), action_id)
            self.interact(payload)
            return payload

    def press_ephemeral(self, user: str, ts: str, action_id: str) -> dict[str, Any]:
        """As `press`, of a message that only they saw: the payload has no message (seen in recordings)."""
        with self.workspace.lock:
            shown = [told for told in self.workspace.ephemerals if (told.ts, told.user) == (ts, user)]
            if not shown:
                raise NoSuchThingError(f"{user} sees no message {ts}")
            place = shown[0].channel
            message = Message(place, ts, self.workspace.app.user, shown[0].text, "", blocks=list(shown[0].blocks))
            payload = self._payload(self._inside(user, place), message, action_id)
            del payload["message"]
            payload["container"]["is_ephemeral"] = True
            self.interact(payload)
            return payload

    def _payload(self, person: Person, message: Message, action_id: str) -> dict[str, Any]:
        found = [button for button in message.buttons() if button["action_id"] == action_id]
        if not found:
            raise NoSuchThingError(f"there is no button {action_id} on {message.ts}")
        extra = {
            "response_url": self.responses.new(message.channel, message.ts, person.id),
            "trigger_id": self.workspace.new_id("1."),
            "action_ts": self.workspace.new_ts(),
        }
        place = self.workspace.channel(message.channel)
        return copy.deepcopy(events.pressed(found[0], message, person, place, self.workspace.app, extra))

    def interact(self, payload: dict[str, Any]) -> None:
        """Send that interactive payload as it is, true or not."""
        self.delivery.deliver("interactive", copy.deepcopy(payload))

    def messages(self, channel: str) -> tuple[Message, ...]:
        """Every message of the channel and its threads as it stands, oldest first; copies."""
        with self.workspace.lock:
            self.workspace.channel(channel)
            return tuple(copy.deepcopy(list(self.workspace.messages.get(channel, {}).values())))

    def message(self, channel: str, ts: str) -> Message:
        """A copy."""
        with self.workspace.lock:
            return copy.deepcopy(self.workspace.message(channel, ts))

    def thread(self, channel: str, ts: str) -> tuple[Message, ...]:
        """The replies to that message, oldest first; copies."""
        return tuple(message for message in self.messages(channel) if message.is_reply and message.thread_ts == ts)

    def posted(self, channel: str) -> tuple[Message, ...]:
        """What the app wrote there, oldest first; copies."""
        return tuple(message for message in self.messages(channel) if message.app_id == self.workspace.app.id)

    def reactions(self, channel: str, ts: str) -> dict[str, tuple[str, ...]]:
        """Who reacted, by name."""
        return {name: tuple(users) for name, users in self.message(channel, ts).reactions.items()}

    @property
    def ephemerals(self) -> tuple[Ephemeral, ...]:
        with self.workspace.lock:
            return tuple(self.workspace.ephemerals)

    def _inside(self, user: str, channel: str) -> Person:
        person = self.workspace.person(user)
        if user not in self.workspace.channel(channel).members:
            raise NoSuchThingError(f"{user} is not in {channel}")
        return person

    def _own(self, user: str, channel: str, ts: str) -> Message:
        message = self.workspace.message(channel, ts)
        if message.user != user:
            raise NoSuchThingError(f"{ts} is not by {user}")
        return message


def _forwarded(original: Message, channel_name: str) -> dict[str, Any]:
    return {
        "id": 1,
        "is_share": True,
        "is_msg_unfurl": True,
        "ts": original.ts,
        "author_id": original.user,
        "channel_id": original.channel,
        "channel_name": channel_name,
        "text": original.text,
        "fallback": original.text,
        "from_url": link_to(original),
        "message_blocks": [
            {
                "team": original.team,
                "channel": original.channel,
                "ts": original.ts,
                "message": {"blocks": original.blocks},
            }
        ],
    }
