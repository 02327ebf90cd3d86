"""A real InspIRCd with services and a Slack workspace at once: votes from both, and one of them killed meanwhile."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kcibot.core import absence, sender
from kcibot.core.run import RunState
from kcibot.sandbox.irc.network import IrcNetwork
from kcibot.sandbox.irc.person import IrcPerson, Seen
from kcibot.sandbox.slack import SlackStandIn
from tests.fakes.both_bot import SECOND, asked, bot_on_both, button, slack_team, votes
from tests.fakes.irc_person import CHANNEL, THUMB, ask, come, hear, meet, stranger
from tests.fakes.irc_server import until
from tests.fakes.slack_people import MANAGER, OPERATOR, RELEASES
from tests.servers.inspircd import irc_network

AWAY = "messages were said meanwhile"


@pytest.fixture
def network() -> Iterator[IrcNetwork]:
    with irc_network() as one:
        yield one


@pytest.fixture
def slack() -> Iterator[SlackStandIn]:
    with slack_team() as one:
        yield one


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network counts as away, and is tried again, after a moment."""
    monkeypatch.setattr(absence, "LONG_SECONDS", 0.0)
    monkeypatch.setattr(absence, "LONGEST_WAIT_SECONDS", 0.5)
    monkeypatch.setattr(sender, "DIGEST_FROM", 2)


def prompt(person: IrcPerson, words: str) -> Seen:
    """The line that asks for votes on it."""
    return hear(person, "!approve ", person.seen.index(hear(person, words)))


def test_one_vote_from_each_network_approves_a_release_and_a_person_counts_once(
    network: IrcNetwork, slack: SlackStandIn, tmp_path: Path
) -> None:
    with bot_on_both(network, slack, tmp_path) as life, come(network, "operator", "manager-1") as (operator, manager):
        operator.say(CHANNEL, "!toy start")
        slack.react(MANAGER, RELEASES, asked(slack, "Push it").ts, "+1")
        manager.react(CHANNEL, prompt(manager, "Push it").msgid, THUMB)
        until(lambda: {vote.network for vote in votes(life)} == {"slack", "irc"})
        ask(operator, "!ping behind", "pong behind")
        assert (life.run.state, life.target.effects) == (RunState.WAITING, 0)
        slack.react(SECOND, RELEASES, asked(slack, "Push it").ts, "+1")
        manager.react(CHANNEL, prompt(manager, "Deploy it").msgid, THUMB)
        life.ends(60)
        hear(operator, "succeeded")
    assert {(vote.person, vote.network) for vote in votes(life)} == {
        ("manager-1", "slack"),
        ("manager-1", "irc"),
        ("manager-2", "slack"),
    }
    assert (life.target.value, life.target.effects) == ("newer", 2)


@pytest.mark.usefixtures("hasty")
def test_a_release_goes_on_without_its_killed_irc_server_which_is_told_in_one_digest(
    network: IrcNetwork, slack: SlackStandIn, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with bot_on_both(network, slack, tmp_path) as life:
        with come(network, "operator", "manager-1") as (operator, manager):
            ask(operator, "!toy start", "!approve ")
            manager.react(CHANNEL, prompt(manager, "Push it").msgid, THUMB)
            hear(operator, "manager-1 approves")
            network.kill_services()
            network.kill_server()
        slack.react(SECOND, RELEASES, asked(slack, "Push it").ts, "+1")
        accept = asked(slack, "Deploy it")
        slack.press(SECOND, RELEASES, accept.ts, button(accept))
        life.ends(60)
        slack.say(OPERATOR, RELEASES, "!toy start")
        until(lambda: "irc: not delivered yet" in caplog.text)
        network.start_server()
        with stranger(network.port, "watcher") as watcher:
            network.start_services()
            meet(watcher)
            hear(watcher, AWAY, seconds=60)
            ask(watcher, "!ping behind", "pong behind")
            assert len([line for line in watcher.said("kcibot") if AWAY in line]) == 1
    assert (life.target.value, life.target.effects) == ("newer", 2)
