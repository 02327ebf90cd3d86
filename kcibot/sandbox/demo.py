"""`kcibot demo`: the sandbox, the bot beside it, and a room in the terminal or a scripted release."""

import os
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

import click

from kcibot.chat.room import Room
from kcibot.chat.terminal import SlashCommand, Terminal
from kcibot.chat.transcript import transcript
from kcibot.core.command import read_span
from kcibot.errors import UserError
from kcibot.sandbox.bot_process import BotProcess
from kcibot.sandbox.irc.room import irc_room
from kcibot.sandbox.kernelci.world import Sandbox
from kcibot.sandbox.play import Play
from kcibot.sandbox.proof import Proof
from kcibot.sandbox.slack.room import slack_room
from kcibot.sandbox.voices import Elsewhere, voices

PERSONS = ("operator", "manager-1", "manager-2", "observer")
ROOMS: Mapping[str, Callable[[Path, tuple[str, ...]], AbstractContextManager[Elsewhere]]] = {
    "irc": irc_room,
    "slack": slack_room,
}
RATE = 60.0
"""In the room a minute passes every second."""
AUTO_RATE = 600.0
BUSY_MINUTES = 25.0
WELCOME = """\
KernelCI in miniature, below {folder}. A minute passes every second; /time +1d jumps.
Type  !release plan  to see what a release would do,  !release prepare  to start one.
Prompts are numbered: approve with  /react NUMBER +1 , as another with  /as manager-1 .
!help lists the bot's commands, /help the room's. /quit leaves; /kill kills the bot,
and it goes on where it was. Come back with the same command.
"""
NO_KEYBOARD = "Nobody can type here: run kcibot demo in a terminal, pipe lines into it, or let --auto play a release"


def visit(folder: Path, real_yaml: Path | None, begins: datetime | None = None, chat: Sequence[str] = ()) -> int:
    """Start everything, let people talk until the one at the terminal leaves, stop everything.

    With `chat`, names of ROOMS, others have the room too. Raises UserError where nobody can type, or come.
    """
    if _nobody_types():
        raise UserError(NO_KEYBOARD)
    with ExitStack() as stack:
        others = _others(stack, folder, chat)
        welcome = [WELCOME.format(folder=folder), *(one.welcome for one in others)]
        sandbox, bot = stack.enter_context(_running(folder, RATE, real_yaml, begins, others))
        room = Room(folder / "room", sandbox.clock.now)
        terminal = Terminal(room, PERSONS, _extras(sandbox, bot))
        click.echo("\n".join(welcome))
        terminal.run()
    return 0


def play(folder: Path, real_yaml: Path | None, begins: datetime | None = None, chat: Sequence[str] = ()) -> int:
    """Play a complete release with scripted persons; 0 only if every step really happened, seen from the sandbox.

    With `chat`, names of ROOMS, they type and react there, and not on the console.
    """
    shutil.rmtree(folder, ignore_errors=True)
    with ExitStack() as stack:
        others = _others(stack, folder, chat)
        sandbox, bot = stack.enter_context(_running(folder, AUTO_RATE, real_yaml, begins, others))
        proof = Proof(sandbox)
        room = Room(folder / "room", sandbox.clock.now)
        stage = stack.enter_context(voices(room, others, PERSONS)) if others else room
        story = Play(stage, sandbox.clock, lambda: bot.alive, lambda: sandbox.keep_busy(BUSY_MINUTES))
        began = time.monotonic()
        ended = story.run()
        took = time.monotonic() - began
        missing = proof.missing()
        left = _left(bot.stop())
        minded = [remark for one in others for remark in one.remarks()]
    return told(transcript(room), [*ended, *missing, *left, *minded], took, proof.checked)


def _others(stack: ExitStack, folder: Path, names: Sequence[str]) -> list[Elsewhere]:
    return [stack.enter_context(ROOMS[name](folder, PERSONS)) for name in dict.fromkeys(names)]


@contextmanager
def _running(
    folder: Path, rate: float, real_yaml: Path | None, begins: datetime | None, others: Sequence[Elsewhere]
) -> Iterator[tuple[Sandbox, BotProcess]]:
    """The sandbox and the bot beside it."""
    sandbox = Sandbox(folder, rate, real_yaml, begins=begins, networks=[one.network for one in others])
    bot = BotProcess(folder)
    sandbox.start()
    try:
        bot.start()
        yield sandbox, bot
    finally:
        bot.stop()
        sandbox.stop()


def told(story: str, problems: list[str], took: float, checked: int) -> int:
    """Print the transcript and the outcome; the exit status."""
    click.echo(story)
    for problem in problems:
        click.echo(f"MISSING: {problem}", err=True)
    click.echo(f"release: {took:.1f} s; {checked} facts of the sandbox checked, {len(problems)} missing")
    return 1 if problems else 0


def _nobody_types() -> bool:
    """Whether the input is neither a terminal nor lines of a pipe or a file, as under cron."""
    if sys.stdin is None or sys.stdin.closed:
        return True
    return stat.S_ISCHR(os.fstat(sys.stdin.fileno()).st_mode) and not sys.stdin.isatty()


def _left(status: int) -> list[str]:
    return [f"the bot ended with status {status}"] if status else []


def _extras(sandbox: Sandbox, bot: BotProcess) -> dict[str, SlashCommand]:
    def put_forward(text: str) -> Iterable[str]:
        span = read_span(text.strip().removeprefix("+"))
        sandbox.clock.advance(span)
        yield f"It is {sandbox.clock.now():%a %d %b %H:%M UTC} now."

    def forward(text: str) -> Iterable[str]:
        try:
            yield from put_forward(text)
        except ValueError as error:
            raise UserError(f"{error}. Type /time +1d") from error

    def kill(_text: str) -> Iterable[str]:
        bot.kill()
        yield "The bot was killed (kill -9). It starts again, and goes on where it was."
        bot.start()

    return {
        "time": SlashCommand("+SPAN", "put the sandbox's clock forward, such as +1d or +90m", forward),
        "kill": SlashCommand("", "kill the bot and start it again", kill),
    }
