"""A room in the terminal: somebody reads it, and speaks in it as one of its persons."""

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import partial
from typing import TextIO

from kcibot.chat.console_render import Row, dim, headline, wrap
from kcibot.chat.conversation import Conversation, Message, reaction_line
from kcibot.chat.room import CHANNEL, POLL_SECONDS, Event, Room, RoomKind
from kcibot.chat.terminal_front import Block, Front, PlainFront, Screen
from kcibot.errors import KcibotError, TransientError, UserError

REMEMBERED = 20
"""How many messages somebody who comes in is shown."""

LINGER_SECONDS = 1.0
_ALIKE = 0.5

_EMOJI = {"👍": "+1", "👎": "-1", "✅": "white_check_mark", "❌": "x", "👀": "eyes"}


@dataclass(frozen=True, slots=True)
class SlashCommand:
    """What a person can type besides messages; the bot never sees it.

    `usage` follows the name in the help (`N EMOJI`). `run` gets what was typed after the name, and returns lines for
    this person only; an error of `kcibot.errors` is shown.
    """

    usage: str
    help: str
    run: Callable[[str], Iterable[str]]


class Terminal:
    """One visit to a room. The first of `persons` speaks until `/as`.

    On a terminal, what is said appears above the line being typed and cards are redrawn in place; anything else gets
    plain lines, and the visit ends `linger` seconds after its input did, once the room is quiet. `extra` are slash
    commands besides the room's own, by name without the slash.
    """

    def __init__(
        self,
        room: Room,
        persons: Sequence[str],
        extra: Mapping[str, SlashCommand] | None = None,
        *,
        channel: str = CHANNEL,
        stdin: TextIO | None = None,
        stdout: TextIO | None = None,
        environ: Mapping[str, str] = os.environ,
        linger: float = LINGER_SECONDS,
    ) -> None:
        self._room, self._channel = room, channel
        self._persons = tuple(persons)
        self._speaker = self._persons[0]
        self._reader = room.reader()
        self._conversation = Conversation()
        self._headlines: dict[int, str] = {}
        self._trouble = ""
        self._leaving = False
        self._commands = {**self._own_commands(), **(extra or {})}
        self._front = self._make_front(stdin or sys.stdin, stdout or sys.stdout, environ, linger)

    def run(self) -> None:
        """Until the person leaves. Raises PermanentError if the room's file is damaged."""
        with self._front as front:
            try:
                self._arrive()
                while not self._leaving:
                    self._turn(front)
            except KeyboardInterrupt:
                self._leaving = True  # Ctrl-C where it is a signal: somebody leaves, as with the key
            self._tell(["You have left the room."])

    # ---- the visit ---------------------------------------------------------------------------------------------

    def _make_front(self, stdin: TextIO, stdout: TextIO, environ: Mapping[str, str], linger: float) -> Front:
        if stdin.isatty() and stdout.isatty() and environ.get("TERM") != "dumb":
            return Screen(stdin, stdout, environ, self._completions)
        return PlainFront(stdin, stdout, environ, linger)

    def _arrive(self) -> None:
        for event in self._news():
            self._conversation.apply(event)
        messages = self._conversation.messages.values()
        self._headlines = {each.number: headline(each.notice) for each in messages if each.notice}
        self._history("")
        self._tell([f"You speak as {self._speaker}. Type /help for this room, !help for the bot."])

    def _turn(self, front: Front) -> None:
        self._read_on()
        typed = front.typed(f"{self._speaker}> ", POLL_SECONDS)
        for line in typed.lines:
            if self._leaving:
                return
            self._take(line.strip())
            self._read_on()
        self._leaving = self._leaving or typed.left

    def _read_on(self) -> None:
        for event in self._news():
            self._happened(event)

    def _news(self) -> list[Event]:
        """What is new in the channel; why the room cannot be read is told once, and not at every look."""
        try:
            events = self._reader.take()
        except TransientError as error:
            if str(error) != self._trouble:
                self._trouble = str(error)
                self._tell([self._trouble])
            return []
        self._trouble = ""
        return [event for event in events if event.channel == self._channel]

    def _happened(self, event: Event) -> None:
        message = self._conversation.apply(event)
        if message is None:
            return
        match event.kind:
            case RoomKind.MESSAGE | RoomKind.POST:
                self._headlines[message.number] = headline(message.notice) if message.notice else ""
                self._front.show(_block(message))
            case RoomKind.EDIT:
                self._edited(message)
            case RoomKind.REACTION | RoomKind.UNREACTION:
                self._tell([reaction_line(event)])

    def _edited(self, message: Message) -> None:
        """Draw it anew where it stands; if it is out of sight, tell what changed only if its essence did."""
        if message.notice is None:
            return
        essence = headline(message.notice)
        changed = essence != self._headlines.get(message.number)
        self._headlines[message.number] = essence
        if not self._front.redraw(_block(message)) and changed:
            self._tell([f"[{message.number}] edited: {essence}"])

    def _tell(self, lines: Iterable[str]) -> None:
        """Show lines that are not part of the conversation."""
        shown = list(lines)
        if shown:
            self._front.show(Block(0, partial(_told, shown)))

    # ---- what is typed -----------------------------------------------------------------------------------------

    def _take(self, line: str) -> None:
        try:
            if line.startswith("/"):
                self._slash(line)
            elif line:
                self._room.say(self._speaker, line, self._channel)
        except KcibotError as error:
            self._tell([str(error)])

    def _slash(self, line: str) -> None:
        name, _, rest = line[1:].partition(" ")
        command = self._commands.get(name)
        if command is None:
            raise UserError(
                f"There is no /{name} here.{_nearest(name, self._commands, '/')} /help lists what there is."
            )
        self._tell(command.run(rest.strip()))

    def _completions(self, line: str) -> list[str]:
        """Whole lines that this beginning may become."""
        lines = [f"/{name} " for name in self._commands] + [f"/as {person}" for person in self._persons]
        return [whole for whole in lines if line.startswith("/") and whole.startswith(line)]

    def _own_commands(self) -> dict[str, SlashCommand]:
        return {
            "as": SlashCommand("PERSON", "speak as somebody else", self._as),
            "react": SlashCommand("N EMOJI", "react to message [N], for instance /react 12 +1", self._react),
            "unreact": SlashCommand("N EMOJI", "take a reaction back", self._unreact),
            "who": SlashCommand("", "who is in the room", self._who),
            "show": SlashCommand("N", "message [N] as it is now, with its reactions", self._show),
            "history": SlashCommand("[N]", f"the last {REMEMBERED} messages, or N", self._history),
            "help": SlashCommand("", "this list", self._help),
            "quit": SlashCommand("", "leave the room (Ctrl-D, Ctrl-C); the bot stays", self._quit),
        }

    def _as(self, person: str) -> list[str]:
        if person not in self._persons:
            here = f"Here are {', '.join(self._persons)}."
            raise UserError(f"Nobody here is called {person!r}.{_nearest(person, self._persons)} {here}")
        self._speaker = person
        return [f"You speak as {person} now."]

    def _who(self, _rest: str) -> list[str]:
        return [f"{person} (you)" if person == self._speaker else person for person in self._persons]

    def _react(self, rest: str) -> list[str]:
        message, emoji = self._target(rest, "/react")
        if self._speaker in message.reactions.get(emoji, []):
            raise UserError(f"{self._speaker} has reacted {emoji} to [{message.number}] already.")
        self._room.react(self._speaker, message.number, emoji, self._channel)
        return []

    def _unreact(self, rest: str) -> list[str]:
        message, emoji = self._target(rest, "/unreact")
        if self._speaker not in message.reactions.get(emoji, []):
            raise UserError(f"{self._speaker} has not reacted {emoji} to [{message.number}].")
        self._room.unreact(self._speaker, message.number, emoji, self._channel)
        return []

    def _target(self, rest: str, command: str) -> tuple[Message, str]:
        number, _, emoji = rest.partition(" ")
        name = emoji.strip().strip(":")
        if not name:
            raise UserError(f"Which message, and which reaction? {command} 12 +1")
        return self._message(number), _EMOJI.get(name, name)

    def _message(self, typed: str) -> Message:
        number = typed.strip("[]#")
        message = self._conversation.messages.get(int(number)) if number.isdecimal() else None
        if message is None:
            raise UserError(f"There is no message {typed!r} here. Give the number that stands before it: [12].")
        return message

    def _show(self, rest: str) -> list[str]:
        message = self._message(rest)
        self._front.show(_block(message))
        edited = {0: "", 1: ", edited once"}.get(message.edits, f", edited {message.edits} times")
        return [f"said {message.at:%a %d %b %H:%M:%S} UTC{edited}"]

    def _history(self, rest: str) -> list[str]:
        if rest and not rest.isdecimal():
            raise UserError(f"How many messages? /history {REMEMBERED}")
        for message in self._conversation.newest(int(rest or REMEMBERED)):
            self._front.show(_block(message))
        return []

    def _help(self, _rest: str) -> list[str]:
        usages = {f"/{name} {command.usage}": command.help for name, command in self._commands.items()}
        longest = max(map(len, usages))
        return [f"{usage:<{longest}}  {text}" for usage, text in usages.items()]

    def _quit(self, _rest: str) -> list[str]:
        self._leaving = True
        return []


def _block(message: Message) -> Block:
    return Block(message.number, message.rows)


def _told(lines: Sequence[str], width: int) -> list[Row]:
    return dim([row for line in lines for row in wrap(line, width, rest="  ")])


def _nearest(word: str, known: Iterable[str], mark: str = "") -> str:
    """A question with what may have been meant, or nothing; it is never done on a guess."""
    close = max(known, key=lambda each: _likeness(word, each))
    return f" Did you mean {mark}{close}?" if _likeness(word, close) >= _ALIKE else ""


def _likeness(word: str, other: str) -> float:
    return SequenceMatcher(None, word, other).ratio()
