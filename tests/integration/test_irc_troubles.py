"""A real IRC network that has its troubles: it is killed, it loses its services, it does not like talkers."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from kcibot.core.run import RunState
from kcibot.errors import TransientError
from kcibot.sandbox.irc.config import Flood
from kcibot.sandbox.irc.network import IrcNetwork
from kcibot.sandbox.irc.person import IrcPerson, Seen
from tests.fakes.irc_bot import Life, bot_on
from tests.fakes.irc_person import CHANNEL, THUMB, ask, come, hear, meet, owner, quiet, stranger
from tests.fakes.irc_server import until
from tests.servers.inspircd import BOT, irc_network, password

GATE = "!approve"


@pytest.fixture
def network() -> Iterator[IrcNetwork]:
    with irc_network() as one:
        yield one


def restarted(network: IrcNetwork) -> None:
    """The server is killed and comes back, as yet without its services: nobody can log in."""
    network.kill_services()
    network.kill_server()
    network.start_server()


def test_a_release_goes_on_over_the_death_of_the_server_and_says_everything_once(
    network: IrcNetwork, tmp_path: Path
) -> None:
    reached, killed = threading.Event(), threading.Event()

    def at_work(_context: object) -> None:
        reached.set()
        assert killed.wait(60)

    with bot_on(network, tmp_path, before=at_work) as life:
        with come(network, "operator", "manager-1", "manager-2") as (operator, first, second):
            prompt = ask(operator, "!toy start", GATE)
            for person in (first, second):
                person.react(CHANNEL, prompt.msgid, THUMB)
            assert reached.wait(20)
            restarted(network)
        with stranger(network.port, "watcher") as watcher:
            killed.set()  # what is said now is said to nobody
            network.start_services()
            meet(watcher)
            _approve_the_rest(network, life, watcher)
            hear(watcher, "succeeded", seconds=60)
            said = watcher.said(BOT)
    assert (life.target.value, life.target.effects) == ("newer", 2)
    assert [line for line in said if "Deploy it” asks" in line] == [line for line in said if line.startswith("\x02? ")]
    assert {line: times for line, times in Counter(said).items() if times > 1} == {}


def _approve_the_rest(network: IrcNetwork, life: Life, watcher: IrcPerson) -> None:
    """By a reaction on what was said after the server came back."""
    with come(network, "manager-2") as (second,):
        second.react(CHANNEL, prompt_of(watcher, "Deploy it").msgid, THUMB)
        life.ends(60)


def prompt_of(person: IrcPerson, title: str) -> Seen:
    """The line that asks for votes on it."""
    return hear(person, GATE, person.seen.index(hear(person, title)))


@pytest.mark.parametrize("flood", [Flood.DELAYS, Flood.KILLS])
def test_a_whole_release_is_approved_by_reactions_where_floods_are_punished(flood: Flood, tmp_path: Path) -> None:
    with (
        irc_network(flood=flood) as network,
        bot_on(network, tmp_path, rate=1.0, burst=5) as life,
        come(network, "operator", "manager-1", "manager-2") as (operator, first, second),
    ):
        operator.say(CHANNEL, "!toy start")
        for person in (first, second):
            person.react(CHANNEL, prompt_of(person, "Push it").msgid, THUMB)
        first.react(CHANNEL, prompt_of(first, "Deploy it").msgid, THUMB)
        life.ends(60)
        hear(operator, "succeeded", seconds=60)
        assert [one for one in operator.seen if one.command == "QUIT" and one.nick == BOT] == []
    assert (life.target.value, life.target.effects) == ("newer", 2)


def test_a_bot_in_the_middle_of_a_long_answer_repeats_at_most_a_line_and_says_so(
    network: IrcNetwork, tmp_path: Path
) -> None:
    with bot_on(network, tmp_path, rate=3.0, burst=1):
        with come(network, "operator") as (operator,):
            operator.say(CHANNEL, "!help")
            meet(operator)
            hear(operator, "Commands")
            restarted(network)
            before = operator.said(BOT)
        with stranger(network.port, "watcher") as watcher:
            network.start_services()
            meet(watcher)
            with come(network, "operator") as (operator,):
                ask(operator, "!ping over", "pong over")
                hear(watcher, "pong over")
            after = watcher.said(BOT)
    said = [*before, *after[: after.index("pong over")]]
    assert any("!whoami" in line for line in said)
    repeated = [line for line in said if line.startswith("(again) ")]
    assert len(repeated) <= 1
    assert {line: times for line, times in Counter(said).items() if times > 1} == {}


def test_without_services_the_bot_does_not_speak_until_they_are_there(network: IrcNetwork, tmp_path: Path) -> None:
    network.kill_services()
    with stranger(network.port, "watcher") as watcher, bot_on(network, tmp_path) as life:
        watcher.say(CHANNEL, "!ping")
        _has_tried(life)
        quiet(watcher)
        network.start_services()
        meet(watcher)
        ask(watcher, "!ping here", "pong here")


def test_services_that_do_not_answer_are_not_waited_for_for_ever_and_nothing_is_said_meanwhile(
    network: IrcNetwork, tmp_path: Path
) -> None:
    network.freeze_services()
    with stranger(network.port, "watcher") as watcher, bot_on(network, tmp_path, timeout="2s") as life:
        _has_tried(life)
        quiet(watcher)
        assert watcher.said(BOT) == []
        network.thaw_services()
        meet(watcher)
        ask(watcher, "!ping here", "pong here")


def test_without_services_who_is_logged_in_approves_a_release_and_nobody_new_has_authority(
    network: IrcNetwork, tmp_path: Path
) -> None:
    with (
        bot_on(network, tmp_path) as life,
        come(network, "operator", "manager-1", "observer") as (operator, manager, other),
    ):
        network.kill_services()
        prompt = ask(operator, "!toy start", GATE)
        manager.react(CHANNEL, prompt.msgid, THUMB)
        hear(operator, "manager-1 approves")
        other.close()
        with pytest.raises(TransientError, match="offers no login"):
            owner(network, "manager-2")
        with stranger(network.port, "manager-2") as thief, stranger(network.port, "observer") as again:
            thief.react(CHANNEL, prompt.msgid, THUMB)
            ask(thief, f"!approve {life.bot.world.journal.asks(1)[0].code}", "needs the role")
            ask(again, "!whoami", "vouches for nobody")
        assert (life.run.state, life.target.effects) == (RunState.WAITING, 0)
        network.start_services()  # which may log out who came before: then the server vouches for them no longer
        with come(network, "manager-2") as (second,):
            second.react(CHANNEL, prompt.msgid, THUMB)
            second.react(CHANNEL, prompt_of(operator, "Deploy it").msgid, THUMB)
            life.ends(60)


def _has_tried(life: Life) -> None:
    """The bot came, and left again."""
    [chat] = life.bot._adapters
    deadline = threading.Event()
    for _ in range(1000):
        if "services" in chat.last_error or "no sign" in chat.last_error or "login" in chat.last_error:
            return
        deadline.wait(0.02)
    pytest.fail(f"it did not try: {chat.last_error}")


def test_a_network_that_ends_floods_never_ends_the_bot(tmp_path: Path) -> None:
    with (
        irc_network(flood=Flood.KILLS) as network,
        bot_on(network, tmp_path, rate=1.0, burst=5),
        come(network, "operator", "manager-1", "observer") as persons,
    ):
        with ThreadPoolExecutor(len(persons)) as pool:
            for number in range(3):
                list(pool.map(lambda one, n=number: one.say(CHANNEL, f"!ping {one.nick} {n}"), persons))
        persons[0].say(CHANNEL, "!help")
        hear(persons[0], "!whoami", seconds=40)
        for person in persons:
            assert [hear(persons[0], f"pong {person.nick} {number}") for number in range(3)]
        assert [one for one in persons[0].seen if one.command == "QUIT" and one.nick == BOT] == []
        _is_killed_for_talking(persons[1])


def _is_killed_for_talking(person: IrcPerson) -> None:
    """So the limits are real."""
    with suppress(TransientError):  # what is said too late is said to nobody
        for number in range(200):
            person.say(CHANNEL, f"nothing {number}")
    until(lambda: not person.connected)


def test_a_network_that_delays_floods_gets_everything_in_time(tmp_path: Path) -> None:
    with (
        irc_network(flood=Flood.DELAYS) as network,
        bot_on(network, tmp_path, rate=1.0, burst=5),
        come(network, "operator") as (operator,),
    ):
        ask(operator, "!help", "Commands")
        hear(operator, "!whoami", seconds=30)
        ask(operator, "!ping after", "pong after")


def test_a_bot_whose_password_is_wrong_does_not_speak(network: IrcNetwork, tmp_path: Path) -> None:
    assert password(BOT) != password("operator")
    with stranger(network.port, "watcher") as watcher, bot_on(network, tmp_path, secret="not the word") as life:
        _has_tried(life)
        quiet(watcher)
        assert "login was refused" in life.bot._adapters[0].last_error
