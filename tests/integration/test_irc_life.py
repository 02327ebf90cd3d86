"""A bot's life on a real InspIRCd: restarts, history, its nick, and people who talk too much."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from kcibot.sandbox.irc.network import IrcNetwork
from kcibot.sandbox.irc.person import IrcPerson
from tests.fakes.irc_bot import bot_on
from tests.fakes.irc_person import CHANNEL, THUMB, ask, come, hear, meet, owner, stranger
from tests.servers.inspircd import BOT, irc_network

TOO_MUCH = "More than 60 commands in a minute"


@pytest.fixture(scope="module")
def network() -> Iterator[IrcNetwork]:
    with irc_network() as one:
        yield one


def test_a_prompt_takes_reactions_also_after_a_restart_of_the_bot(network: IrcNetwork, tmp_path: Path) -> None:
    with ExitStack() as stack:
        manager = owner(network, "manager-1")
        stack.callback(manager.close)
        manager.join(CHANNEL)
        with bot_on(network, tmp_path), come(network, "operator") as (operator,):
            ask(operator, "!toy start", "!approve")
            prompt = hear(manager, "!approve")
        stack.enter_context(bot_on(network, tmp_path))
        manager.wait(lambda one: one.command == "JOIN" and one.nick == BOT, manager.mark)
        manager.react(CHANNEL, prompt.msgid, THUMB)
        hear(manager, "manager-1 approves")
        assert len([line for line in manager.said(BOT) if line.startswith("\x02? ")]) == 1


def test_what_was_typed_while_the_bot_was_away_is_answered_and_what_it_heard_before_is_not_answered_again(
    network: IrcNetwork, tmp_path: Path
) -> None:
    with stranger(network.port, "keeper") as keeper:
        keeper.send(f"MODE {CHANNEL} +H 20:1h")
        with bot_on(network, tmp_path):
            meet(keeper)
            ask(keeper, "!ping before", "pong before")
        keeper.wait(lambda one: one.command == "QUIT" and one.nick == BOT)
        keeper.say(CHANNEL, "!ping meanwhile")
        with bot_on(network, tmp_path):
            hear(keeper, "pong meanwhile")
            ask(keeper, "!ping after", "pong after")
        keeper.send(f"MODE {CHANNEL} -H")
        assert [line for line in keeper.said(BOT) if "pong" in line] == ["pong before", "pong meanwhile", "pong after"]


def test_a_taken_nick_is_regained_when_it_is_free(network: IrcNetwork, tmp_path: Path) -> None:
    with stranger(network.port, "watcher") as watcher:
        thief = owner(network, "observer", BOT)
        with bot_on(network, tmp_path):
            thief.join(CHANNEL)
            other = watcher.wait(lambda one: one.command == "JOIN" and one.nick.startswith(f"{BOT}_"))
            mark = watcher.mark
            watcher.say(CHANNEL, "!ping anyway")
            hear(watcher, "pong anyway", mark, other.nick)
            thief.close()
            watcher.wait(lambda one: one.command == "NICK" and one.text == BOT)
            ask(watcher, "!ping again", "pong again")


def test_who_talks_too_much_is_told_so_once_and_keeps_nobody_waiting(network: IrcNetwork, tmp_path: Path) -> None:
    with (
        bot_on(network, tmp_path),
        stranger(network.port, "talker") as talker,
        come(network, "operator") as (operator,),
        ThreadPoolExecutor(1) as pool,
    ):
        began = time.monotonic()
        flood = pool.submit(talk, talker)
        ask(operator, "!ping meanwhile", "pong meanwhile")
        flood.result()
        ask(operator, "!ping behind", "pong behind")
        hear(operator, TOO_MUCH)
        minutes = 1 + int((time.monotonic() - began) / 60)  # one, unless the machine is very busy
        answers = [line for line in operator.said(BOT) if "spam" in line and TOO_MUCH not in line]
        assert 0 < len(answers) <= 60 * minutes
        assert len([line for line in operator.said(BOT) if TOO_MUCH in line]) <= minutes


def talk(talker: IrcPerson) -> None:
    for number in range(1000):
        talker.say(CHANNEL, f"!ping spam {number}")
        if number % 20 == 0:  # the server takes some kilobytes at once, and ends who sends more
            talker.wait_for_text(f"spam {number}", "talker")
