"""A gated release on a real InspIRCd with services: reactions approve it, and accounts decide who may."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kcibot.core.run import RunState
from kcibot.sandbox.irc.network import IrcNetwork
from kcibot.sandbox.irc.person import IrcPerson, Seen
from tests.fakes.irc_bot import Life, bot_on
from tests.fakes.irc_person import CHANNEL, THUMB, ask, come, hear, owner, stranger
from tests.servers.inspircd import BOT, irc_network

GO = "!approve"


@pytest.fixture(scope="module")
def network() -> Iterator[IrcNetwork]:
    with irc_network() as one:
        yield one


@pytest.fixture
def life(network: IrcNetwork, tmp_path: Path) -> Iterator[Life]:
    with bot_on(network, tmp_path) as one:
        yield one


def code(line: str) -> str:
    return line.partition("!approve ")[2].partition(" ")[0]


def ends_with(person: IrcPerson, title: str) -> Seen:
    """The last line of the prompt with that title."""
    number = person.seen.index(hear(person, title))
    return hear(person, GO, number)


def test_a_release_of_two_gates_is_approved_by_the_reactions_of_two_persons(network: IrcNetwork, life: Life) -> None:
    with come(network, "operator", "manager-1", "manager-2") as (operator, first, second):
        prompt = ask(operator, "!toy start", GO)
        for person in (operator, first, second):
            person.react(CHANNEL, prompt.msgid, THUMB)
        second.react(CHANNEL, ends_with(operator, "Deploy it").msgid, THUMB)
        run = life.ends()
        hear(operator, "succeeded")
    votes = life.bot.world.journal.votes(life.bot.world.journal.asks(run.id)[0])
    assert [vote.person for vote in votes] == ["manager-1", "manager-2"]
    assert (life.target.value, life.target.effects) == ("newer", 2)


def test_every_line_of_a_prompt_takes_reactions_also_while_the_others_are_being_said(
    network: IrcNetwork, tmp_path: Path
) -> None:
    with (
        bot_on(network, tmp_path, rate=2.0, burst=1),
        come(network, "operator", "manager-1", "manager-2") as (operator, first, second),
    ):
        prompt = ask(operator, "!toy start", "asks for approval")
        first.react(CHANNEL, prompt.msgid, THUMB)
        hear(operator, GO, operator.mark)
        second.react(CHANNEL, prompt.msgid, THUMB)
        hear(operator, "Deploy it")


def test_a_reaction_that_is_taken_back_is_no_vote(network: IrcNetwork, life: Life) -> None:
    with come(network, "operator", "manager-1", "manager-2") as (operator, first, second):
        prompt = ask(operator, "!toy start", GO)
        first.react(CHANNEL, prompt.msgid, THUMB)
        hear(operator, "manager-1 approves")
        first.unreact(CHANNEL, prompt.msgid, THUMB)
        hear(operator, "withdrawn")
        second.react(CHANNEL, prompt.msgid, THUMB)
        hear(operator, "manager-2 approves")
        assert (life.run.state, life.target.effects) == (RunState.WAITING, 0)
        ask(operator, f"!approve {code(prompt.text)}", "Only a release-manager may answer")


def test_votes_are_also_given_in_words(network: IrcNetwork, life: Life) -> None:
    with come(network, "operator", "manager-1", "manager-2") as (operator, first, second):
        prompt = ask(operator, "!toy start", GO)
        first.say(CHANNEL, f"!approve {code(prompt.text)}")
        ask(second, f"kcibot: approve {code(prompt.text)}", "Deploy it")
        ask(first, f"!reject {code(hear(second, '!approve', second.mark - 1).text)} not yet", "not yet")


def test_who_has_no_account_gets_what_is_for_everybody_and_no_more(network: IrcNetwork, life: Life) -> None:
    with come(network, "operator") as (operator,), stranger(network.port, "passer-by") as nobody:
        prompt = ask(operator, "!toy start", GO)
        hear(nobody, GO)
        ask(nobody, "!ping hello", "pong hello")
        ask(nobody, "!help ping", "!ping")
        mark = nobody.mark
        nobody.say(CHANNEL, f"!approve {code(prompt.text)}")
        nobody.react(CHANNEL, prompt.msgid, THUMB)
        hear(nobody, "needs the role", mark)
        hear(nobody, "I do not know passer-by", mark)
        ask(nobody, "!ping again", "pong again")
        assert life.bot.world.journal.votes(life.bot.world.journal.asks(1)[0]) == ()


def test_a_stolen_nick_is_nobody(network: IrcNetwork, life: Life) -> None:
    with come(network, "operator") as (operator,), stranger(network.port, "manager-1") as thief:
        prompt = ask(operator, "!toy start", GO)
        hear(thief, GO)
        thief.react(CHANNEL, prompt.msgid, THUMB)
        ask(thief, f"!approve {code(prompt.text)}", "needs the role")
        ask(thief, "!whoami", "vouches for nobody")
        assert life.bot.world.journal.votes(life.bot.world.journal.asks(1)[0]) == ()


def test_an_account_keeps_its_authority_under_another_nick_and_no_nick_gives_any(
    network: IrcNetwork, life: Life
) -> None:
    with come(network, "operator", "manager-1") as (operator, manager):
        prompt = ask(operator, "!toy start", GO)
        manager.rename("somebody")
        operator.rename("manager-1")  # the nick that has just become free
        operator.react(CHANNEL, prompt.msgid, THUMB)
        ask(operator, f"!approve {code(prompt.text)}", "Only a release-manager may answer")
        manager.react(CHANNEL, prompt.msgid, THUMB)
        hear(operator, "manager-1 approves")
        votes = life.bot.world.journal.votes(life.bot.world.journal.asks(1)[0])
        assert [vote.person for vote in votes] == ["manager-1"]


def test_who_logs_out_has_no_authority_left(network: IrcNetwork, life: Life) -> None:
    with come(network, "operator", "manager-1") as (operator, manager):
        prompt = ask(operator, "!toy start", GO)
        manager.say("NickServ", "LOGOUT")
        manager.wait(lambda one: one.command == "901")
        manager.react(CHANNEL, prompt.msgid, THUMB)
        ask(manager, f"!approve {code(prompt.text)}", "needs the role")
        assert life.bot.world.journal.votes(life.bot.world.journal.asks(1)[0]) == ()


def test_one_account_in_two_clients_is_one_vote(network: IrcNetwork, life: Life) -> None:
    with come(network, "operator", "manager-1") as (operator, manager):
        again = owner(network, "manager-1", "phone")
        again.join(CHANNEL)
        prompt = ask(operator, "!toy start", GO)
        manager.react(CHANNEL, prompt.msgid, THUMB)
        hear(operator, "manager-1 approves")
        again.react(CHANNEL, prompt.msgid, THUMB)
        again.say(CHANNEL, f"!approve {code(prompt.text)}")
        ask(again, "!whoami", "You are manager-1")
        votes = life.bot.world.journal.votes(life.bot.world.journal.asks(1)[0])
        assert [vote.person for vote in votes] == ["manager-1"]
        assert life.run.state is RunState.WAITING
        again.close()


def test_a_reaction_that_only_the_bot_sees_and_one_on_anothers_words_are_no_votes(
    network: IrcNetwork, life: Life
) -> None:
    with come(network, "operator", "manager-1") as (operator, manager):
        prompt = ask(operator, "!toy start", GO)
        manager.react(BOT, prompt.msgid, THUMB)
        operator.say(CHANNEL, f"please !approve {code(prompt.text)}")
        please = manager.wait_for_text("please !approve", "operator")
        manager.react(CHANNEL, please.msgid, THUMB)
        manager.say(BOT, f"!approve {code(prompt.text)}")
        ask(manager, "!ping behind", "pong behind")
        assert life.bot.world.journal.votes(life.bot.world.journal.asks(1)[0]) == ()


def test_lines_that_are_no_text_or_too_long_do_no_harm(network: IrcNetwork, life: Life) -> None:
    with come(network, "operator") as (operator,):
        operator.send_bytes(b"PRIVMSG #kernelci :!toy \xff\xfe\x80")
        operator.send_bytes(b"@+draft/react=\xff;+draft/reply=\xfe TAGMSG #kernelci")
        operator.send_bytes(b"PRIVMSG #kernelci :\xff\xfe !toy start")
        operator.send_bytes(b"PRIVMSG #kernelci :!" + b"x" * 7000)
        operator.send_bytes(b"PRIVMSG #kernelci :hello\r!toy start\0")
        ask(operator, "!ping behind", "pong behind")
        assert life.bot.world.journal.open_runs() == ()
