"""Scripted persons who play on IRC what `play.py` has them do in the console room."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from kcibot.chat.room import Event, Room
from kcibot.errors import UserError
from kcibot.sandbox.irc.person import IrcPerson, Seen
from kcibot.sandbox.irc.room import BOT, CHANNEL, IrcRoom

THUMB = "\N{THUMBS UP SIGN}"
DIGEST = "Digest"


class IrcVoices:
    """Fulfils `play.Stage`: it is looked at in the console room, which the bot is in too; said is all on IRC."""

    def __init__(self, room: Room, irc: IrcRoom, persons: Sequence[str]) -> None:
        self._room = room
        self._persons: dict[str, IrcPerson] = {name: irc.come(name) for name in persons}

    def meet(self) -> None:
        """Wait until the bot is in the channel."""
        for person in self._persons.values():
            person.wait(_shows_the_bot)

    def close(self) -> None:
        for person in self._persons.values():
            person.close()

    def say(self, person: str, text: str) -> None:
        self._persons[person].say(CHANNEL, text)

    def react(self, person: str, target: int, emoji: str) -> None:
        """A thumb up on what the bot said on IRC of the prompt that has that number in the console room."""
        code = self._code(target)
        who = self._persons[person]
        prompt = who.wait_for_text(f"!approve {code}", BOT)
        who.react(CHANNEL, prompt.msgid, THUMB)

    def read(self, after: int) -> Sequence[Event]:
        return self._room.read(after)

    def _code(self, number: int) -> str:
        for event in self._room.read(number - 1):
            for field in event.notice.fields if event.notice else ():
                if field.name == DIGEST:
                    return field.value
        raise UserError(f"message {number} is no prompt")


@contextmanager
def voices(room: Room, irc: IrcRoom, persons: Sequence[str]) -> Iterator[IrcVoices]:
    """They are there, and so is the bot."""
    found = IrcVoices(room, irc, persons)
    try:
        found.meet()
        yield found
    finally:
        found.close()


def _shows_the_bot(one: Seen) -> bool:
    if one.command == "353":
        return BOT in (name.lstrip("@+") for name in one.text.split())
    return one.command == "JOIN" and one.nick == BOT
