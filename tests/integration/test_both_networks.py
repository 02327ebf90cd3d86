"""One conversation on Slack and IRC: one bot, one release, votes from both."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from kcibot import config
from kcibot.app import registry
from kcibot.core import absence, sender
from kcibot.core.run import RunState
from tests.fakes.both_bot import SECOND, Both, both, button, caught_up, votes
from tests.fakes.irc_server import until
from tests.fakes.slack_people import MANAGER, OPERATOR, RELEASES

AWAY = "messages were said meanwhile"
LATE = 60.0
"""Seconds until a network that was away is tried again, at the latest."""


@pytest.fixture
def rooms(tmp_path: Path) -> Iterator[Both]:
    with both(tmp_path) as one:
        yield one


def voters(life: object) -> list[tuple[str, str]]:
    return [(vote.person, vote.network) for vote in votes(life)]  # type: ignore[arg-type]


# ---- votes ---------------------------------------------------------------------------------------------------------


def test_a_reaction_on_slack_and_a_reaction_on_irc_are_two_votes(rooms: Both) -> None:
    with rooms.bot() as life:
        rooms.irc.say("operator", "!toy start")
        rooms.slack.react(MANAGER, RELEASES, rooms.asked("Push it").ts, "+1")
        until(lambda: voters(life) == [("manager-1", "slack")])
        first = rooms.irc.prompt()
        rooms.irc.mark("manager-2", first.msgid)
        accept = rooms.asked("Deploy it")
        rooms.slack.press(SECOND, RELEASES, accept.ts, button(accept))
        life.ends()
        assert voters(life) == [("manager-1", "slack"), ("manager-2", "irc")]
        assert (life.target.value, life.target.effects) == ("newer", 2)
        assert not rooms.slack.remarks


def test_a_reaction_on_slack_and_words_on_irc_are_two_votes(rooms: Both) -> None:
    with rooms.bot() as life:
        rooms.slack.say(OPERATOR, RELEASES, "!toy start")
        rooms.slack.react(MANAGER, RELEASES, rooms.asked("Push it").ts, "+1")
        rooms.irc.prompt()
        rooms.irc.say("manager-2", f"!approve {rooms.code()}")
        rooms.asked("Deploy it")
        assert Counter(voters(life)) == Counter([("manager-1", "slack"), ("manager-2", "irc")])


def test_one_person_on_both_networks_is_one_vote(rooms: Both) -> None:
    with rooms.bot() as life:
        rooms.slack.say(OPERATOR, RELEASES, "!toy start")
        rooms.slack.react(MANAGER, RELEASES, rooms.asked("Push it").ts, "+1")
        rooms.irc.mark("manager-1", rooms.irc.prompt().msgid)
        rooms.irc.say("manager-1", f"!approve {rooms.code()}")
        until(lambda: len(voters(life)) == 2)
        rooms.irc.say("manager-1", "!ping behind")
        rooms.irc.hear("pong behind")
        assert (life.run.state, life.target.effects) == (RunState.WAITING, 0)


def test_a_vote_taken_back_on_one_network_does_not_count_any_more(rooms: Both) -> None:
    with rooms.bot() as life:
        rooms.slack.say(OPERATOR, RELEASES, "!toy start")
        go = rooms.asked("Push it")
        line = rooms.irc.prompt()
        rooms.irc.mark("manager-1", line.msgid)
        until(lambda: voters(life) == [("manager-1", "irc")])
        rooms.irc.mark("manager-1", line.msgid, taken_back=True)
        until(lambda: voters(life) == [])
        rooms.slack.react(SECOND, RELEASES, go.ts, "+1")
        until(lambda: voters(life) == [("manager-2", "slack")])
        assert (life.run.state, life.target.effects) == (RunState.WAITING, 0)


def test_a_vote_taken_back_where_it_was_not_given_stands(rooms: Both) -> None:
    with rooms.bot() as life:
        rooms.slack.say(OPERATOR, RELEASES, "!toy start")
        rooms.slack.react(MANAGER, RELEASES, rooms.asked("Push it").ts, "+1")
        until(lambda: voters(life) == [("manager-1", "slack")])
        rooms.irc.mark("manager-1", rooms.irc.prompt().msgid, taken_back=True)
        rooms.irc.mark("manager-2", rooms.irc.prompt().msgid)
        rooms.asked("Deploy it")


# ---- what is seen where --------------------------------------------------------------------------------------------


def test_what_a_command_did_on_one_network_is_seen_on_the_other(rooms: Both) -> None:
    with rooms.bot():
        rooms.irc.say("operator", "!toy start")
        rooms.tell("operator on irc: !toy start")
        rooms.slack.say(OPERATOR, RELEASES, "!toy start")
        rooms.irc.hear("operator on slack: !toy start")
        assert not rooms.irc.heard("operator on irc")


def test_who_is_nobody_is_not_relayed_under_the_name_of_somebody(tmp_path: Path) -> None:
    with both(tmp_path, more=", flood: 1") as rooms, rooms.bot():
        for number in range(3):
            rooms.irc.say("operator", f"!ping {number}", account="")
        rooms.tell("operator (unknown) on irc: !ping 1")


def test_alerts_alone_are_relayed_where_that_is_configured(tmp_path: Path) -> None:
    with both(tmp_path, relay="irc: alerts") as rooms, rooms.bot():
        rooms.slack.say(OPERATOR, RELEASES, "!ping hello")
        rooms.tell("pong hello")
        rooms.slack.say(OPERATOR, RELEASES, "!toy start")
        rooms.irc.prompt()
        assert not rooms.irc.heard("on slack:")
        assert not rooms.irc.heard("pong")


def test_nothing_is_relayed_where_that_is_configured_but_what_was_begun_there(tmp_path: Path) -> None:
    with both(tmp_path, relay="irc: none") as rooms, rooms.bot() as life:
        rooms.slack.say(OPERATOR, RELEASES, "!toy start")
        go = rooms.asked("Push it")
        rooms.slack.react(MANAGER, RELEASES, go.ts, "+1")
        rooms.slack.react(SECOND, RELEASES, go.ts, "+1")
        rooms.slack.react(SECOND, RELEASES, rooms.asked("Deploy it").ts, "+1")
        life.ends()
        assert rooms.irc.said == []
        rooms.irc.say("operator", "!toy start")
        rooms.irc.prompt()


# ---- a network that is down ----------------------------------------------------------------------------------------


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network counts as away, and is tried again, after a moment."""
    monkeypatch.setattr(absence, "LONG_SECONDS", 0.0)
    monkeypatch.setattr(sender, "DIGEST_FROM", 2)
    monkeypatch.setattr(absence, "LONGEST_WAIT_SECONDS", 0.5)


@pytest.mark.usefixtures("hasty")
def test_a_release_goes_on_without_irc_which_is_told_in_one_message(
    rooms: Both, caplog: pytest.LogCaptureFixture
) -> None:
    rooms.irc.stop()
    with rooms.bot() as life:
        rooms.slack.say(OPERATOR, RELEASES, "!toy start")
        go = rooms.asked("Push it")
        rooms.slack.react(MANAGER, RELEASES, go.ts, "+1")
        rooms.slack.react(SECOND, RELEASES, go.ts, "+1")
        rooms.slack.react(SECOND, RELEASES, rooms.asked("Deploy it").ts, "+1")
        life.ends()
        until(lambda: "irc: not delivered yet" in caplog.text)
        rooms.irc.start()
        until(lambda: bool(rooms.irc.heard(AWAY)), lambda: f"{rooms.irc.said}", LATE)
        caught_up(rooms)
        assert len(rooms.irc.heard(AWAY)) == 1
        assert len(rooms.irc.heard("on slack:")) <= 4
        assert (life.target.value, life.target.effects) == ("newer", 2)


@pytest.mark.usefixtures("hasty")
def test_a_release_goes_on_without_slack_which_is_told_in_one_message(
    rooms: Both, caplog: pytest.LogCaptureFixture
) -> None:
    with rooms.bot() as life:
        rooms.slack.close_port()
        rooms.irc.say("operator", "!toy start")
        line = rooms.irc.prompt()
        rooms.irc.mark("manager-1", line.msgid)
        rooms.irc.mark("manager-2", line.msgid)
        second = rooms.irc.prompt("Deploy it")
        rooms.irc.mark("manager-2", second.msgid)
        life.ends()
        until(lambda: "slack: not delivered yet" in caplog.text)
        rooms.slack.open_port()
        rooms.tell(AWAY)
        caught_up(rooms)
        assert len(rooms.told(AWAY)) == 1
        assert (life.target.value, life.target.effects) == ("newer", 2)


# ---- a bot that is away --------------------------------------------------------------------------------------------


def test_through_a_restart_votes_of_both_networks_add_up_and_nothing_is_said_twice(rooms: Both) -> None:
    with rooms.bot() as life:
        rooms.irc.say("operator", "!toy start")
        go = rooms.asked("Push it")
        rooms.irc.mark("manager-1", rooms.irc.prompt().msgid)
        until(lambda: voters(life) == [("manager-1", "irc")])
    rooms.slack.react(SECOND, RELEASES, go.ts, "+1")
    with rooms.bot() as life:
        rooms.asked("Deploy it")
        assert voters(life) == [("manager-1", "irc"), ("manager-2", "slack")]
        keys = [str(one.metadata["event_payload"]["key"]) for one in rooms.slack.posted(RELEASES) if one.metadata]
        assert max(Counter(keys).values()) == 1
        assert max(Counter(one.text for one in rooms.irc.said).values()) == 1
        assert not rooms.irc.heard("(again)")


# ---- people --------------------------------------------------------------------------------------------------------


def test_people_are_reloaded_while_the_bot_runs_and_the_audit_has_it(rooms: Both) -> None:
    with rooms.bot() as life:
        for nick in ("newcomer", "operator"):
            rooms.irc.join(nick)
        rooms.irc.say("newcomer", "!toy start")
        rooms.irc.hear("needs the role")
        path = rooms.folder / "config.yaml"
        path.write_text(rooms.config.replace("irc: operator,", "irc: newcomer,"))
        life.bot.reload(config.load(path, registry().sections))
        before = len(rooms.irc.said)
        rooms.irc.say("operator", "!toy start")
        rooms.irc.hear("needs the role", before)
        rooms.irc.say("newcomer", "!toy start")
        rooms.irc.prompt()
        rooms.slack.say(OPERATOR, RELEASES, "!audit 20")
        rooms.tell("people changed operator was operator (irc: operator")


def test_a_running_process_reloads_people_on_a_signal_and_keeps_them_if_the_new_file_is_wrong(rooms: Both) -> None:
    for name, token in (("bot", rooms.slack.app.bot_token), ("app", rooms.slack.app.app_token)):
        (rooms.folder / f"slack-{name}").write_text(token)
        (rooms.folder / f"slack-{name}").chmod(0o600)
    (rooms.folder / "token").write_text("11aabbccddeeff00112233445566778899")
    (rooms.folder / "token").chmod(0o600)
    path = rooms.folder / "config.yaml"
    path.write_text(rooms.config)
    argv = [sys.executable, "-m", "kcibot", "run", "--config", str(path)]
    with subprocess.Popen(argv, env=dict(os.environ), stderr=subprocess.PIPE, text=True) as process:
        try:
            rooms.irc.say("newcomer", "!whoami")
            rooms.irc.hear("I do not know you: irc knows you as newcomer")
            path.write_text("nonsense")
            process.send_signal(signal.SIGHUP)
            assert process.stderr
            next(line for line in process.stderr if "was not reloaded" in line)
            path.write_text(rooms.config.replace("irc: manager-1,", "irc: newcomer,"))
            process.send_signal(signal.SIGHUP)
            next(line for line in process.stderr if "people reloaded" in line)
            rooms.irc.say("newcomer", "!whoami")
            rooms.irc.hear("You are manager-1")
        finally:
            process.terminate()
            process.communicate(timeout=20)
    argv = [sys.executable, "-m", "kcibot", "audit", "verify", "--config", str(path)]
    assert "unbroken" in subprocess.run(argv, check=True, capture_output=True, text=True).stdout
