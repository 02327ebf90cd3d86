"""A whole bot on the Slack stand-in: a gated release approved by two persons, through all that Slack does to it."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from kcibot.core.gate import Vote
from kcibot.core.notice import Chart, Level, Notice, Picture, Series
from kcibot.core.run import RunState
from kcibot.sandbox.http import FaultKind
from kcibot.sandbox.slack import Message, Pace, SlackStandIn
from tests.fakes.irc_bot import CONFIG, NOWHERE, Life, running_bot
from tests.fakes.slack_bot import OUR_APP
from tests.fakes.slack_people import ELSEWHERE, GUEST, MANAGER, OBSERVER, OPERATOR, RELEASES, STRANGER, eventually, team

SECOND = "U0MAN2"
PACE = Pace(acknowledge=3.0, retries=(0.0, 0.5, 0.5), ping=1.0)


def room(pace: Pace = PACE) -> SlackStandIn:
    slack = team(pace, OUR_APP)
    slack.add_person(SECOND, "man2")
    slack.workspace.channel(RELEASES).members.add(SECOND)
    return slack


def configured(slack: SlackStandIn, folder: Path) -> str:
    for name, token in (("bot", slack.app.bot_token), ("app", slack.app.app_token)):
        (folder / f"slack-{name}").write_text(token)
        (folder / f"slack-{name}").chmod(0o600)
    text = CONFIG.substitute(server="x", port=1, bot="kcibot", more="", rate=1, burst=1, timeout="5s", nowhere=NOWHERE)
    head, _, rest = text.partition("  irc:\n")
    chat = f'  slack: {{bot_token: {{file: slack-bot}}, app_token: {{file: slack-app}}, api: "{slack.api}"}}\n'
    rest = rest[rest.index("  rooms:") :].replace("irc:#kernelci", f"slack:{RELEASES}")
    for person, user in (("operator", OPERATOR), ("manager-1", MANAGER), ("manager-2", SECOND), ("observer", OBSERVER)):
        rest = rest.replace(f"irc: {person}", f"slack: {user}")
    return head + chat + rest


def said(slack: SlackStandIn, words: str) -> Message:
    """The bot's message with these words in it."""
    found = eventually(lambda: [one for one in slack.posted(RELEASES) if words in one.text], f"the message {words!r}")
    return found[0]  # type: ignore[no-any-return]


def asked(slack: SlackStandIn, words: str) -> Message:
    """The prompt with these words in it."""

    def prompts() -> list[Message]:
        return [one for one in slack.posted(RELEASES) if words in str(one.blocks) and approve(one)]

    return eventually(prompts, f"the prompt {words!r}")[0]  # type: ignore[no-any-return]


def approve(message: Message) -> str:
    """The id of the button with which the message is approved."""
    return next((one["action_id"] for one in message.buttons() if one["value"].startswith("!approve")), "")


def votes(life: Life) -> Sequence[Vote]:
    """Those that were cast on the first question."""
    journal = life.bot.world.journal
    return journal.votes(journal.asks(1)[0]) if journal.asks(1) else ()


def test_a_release_is_approved_by_a_reaction_and_a_button_of_two_persons(tmp_path: Path) -> None:
    with room() as slack, running_bot(tmp_path, configured(slack, tmp_path)) as life:
        slack.say(OPERATOR, RELEASES, "@kcibot toy start")
        go = asked(slack, "Push it")
        slack.react(STRANGER, RELEASES, go.ts, "+1")
        slack.react(OPERATOR, RELEASES, go.ts, "+1")
        slack.react(MANAGER, RELEASES, go.ts, "+1::skin-tone-3")
        slack.press(SECOND, RELEASES, go.ts, approve(go))
        accept = asked(slack, "Deploy it")
        slack.react(MANAGER, RELEASES, accept.ts, "white_check_mark")
        life.ends()
        assert life.target.value == "newer"
        assert not accept.thread_ts
        assert not slack.late
        assert not slack.remarks


def test_a_refusal_is_whispered_and_guests_get_what_is_for_everybody(tmp_path: Path) -> None:
    with room() as slack, running_bot(tmp_path, configured(slack, tmp_path)):
        slack.say(GUEST, RELEASES, "!toy start")
        whisper = eventually(lambda: slack.ephemerals)[0]
        assert whisper.user == GUEST
        slack.say(GUEST, RELEASES, "!ping")
        said(slack, "pong")


TROUBLES: dict[str, Callable[[SlackStandIn], None]] = {
    "duplicates": lambda slack: slack.duplicate(50),
    "disconnect": lambda slack: slack.disconnect(grace=0.3),
    "break": lambda slack: slack.drop_sockets(),
    "429": lambda slack: slack.rate_limit("chat.postMessage", 1, 2),
    "429 of edits": lambda slack: slack.rate_limit("chat.update", 1, 2),
    "lost answers": lambda slack: slack.spoil("chat.postMessage", FaultKind.RESET_AFTER, 3),
    "failures": lambda slack: slack.spoil("chat.postMessage", FaultKind.STATUS),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_through_troubles_no_event_is_lost_and_no_message_said_twice(trouble: str, tmp_path: Path) -> None:
    with room() as slack, running_bot(tmp_path, configured(slack, tmp_path)) as life:
        eventually(lambda: slack.connections)
        TROUBLES[trouble](slack)
        slack.say(OPERATOR, RELEASES, "!toy start")
        go = asked(slack, "Push it")
        TROUBLES[trouble](slack)
        slack.react(MANAGER, RELEASES, go.ts, "+1")
        slack.react(SECOND, RELEASES, go.ts, "+1")
        accept = asked(slack, "Deploy it")
        slack.react(SECOND, RELEASES, accept.ts, "+1")
        life.ends()
        keys = [str(one.metadata["event_payload"]["key"]) for one in slack.posted(RELEASES) if one.metadata]
        assert max(Counter(keys).values()) == 1
        assert (life.target.value, life.target.effects) == ("newer", 2)


def test_what_changed_while_the_token_was_revoked_is_shown_when_it_is_good_again(tmp_path: Path) -> None:
    with room() as slack, running_bot(tmp_path, configured(slack, tmp_path)) as life:
        slack.say(OPERATOR, RELEASES, "!toy start")
        go = asked(slack, "Push it")
        slack.shut_out("token_revoked")
        slack.react(MANAGER, RELEASES, go.ts, "+1")
        eventually(lambda: votes(life))
        eventually(lambda: [one for one in slack.calls("chat.update") if one.error])
        slack.let_in()
        eventually(lambda: "manager-1 approves" in str(slack.message(RELEASES, go.ts).blocks), "the vote on the prompt")


def test_a_channel_that_was_archived_does_not_hold_up_the_release_in_the_other(tmp_path: Path) -> None:
    with room() as slack:
        slack.join(slack.app.user, ELSEWHERE)
        text = configured(slack, tmp_path).replace(f'"slack:{RELEASES}"', f'"slack:{RELEASES}", "slack:{ELSEWHERE}"')
        with running_bot(tmp_path, text) as life:
            slack.say(OPERATOR, RELEASES, "!toy start")
            go = asked(slack, "Push it")
            slack.workspace.channel(ELSEWHERE).archived = True
            slack.react(MANAGER, RELEASES, go.ts, "+1")
            slack.react(SECOND, RELEASES, go.ts, "+1")
            slack.react(MANAGER, RELEASES, asked(slack, "Deploy it").ts, "+1")
            life.ends()
            assert len([one for one in slack.posted(RELEASES) if f"<#{ELSEWHERE}>" in one.text]) == 1


def test_a_prompt_that_somebody_deleted_can_still_be_answered_in_words(tmp_path: Path) -> None:
    with room() as slack, running_bot(tmp_path, configured(slack, tmp_path)) as life:
        slack.say(OPERATOR, RELEASES, "!toy start")
        go = asked(slack, "Push it")
        words = next(one["value"] for one in go.buttons() if one["value"].startswith("!approve"))
        slack.workspace.delete(slack.workspace.message(RELEASES, go.ts))
        slack.say(MANAGER, RELEASES, words)
        slack.say(SECOND, RELEASES, words)
        slack.react(MANAGER, RELEASES, asked(slack, "Deploy it").ts, "+1")
        life.ends()


def test_a_command_typed_long_ago_while_the_bot_was_away_is_reported_and_not_run(tmp_path: Path) -> None:
    with room() as slack:
        slack.skew(-1200.0)
        slack.say(OPERATOR, RELEASES, "!toy start")
        slack.skew(0.0)
        slack.say(OPERATOR, RELEASES, "!ping")
        with running_bot(tmp_path, configured(slack, tmp_path)) as life:
            said(slack, "it was not done")
            said(slack, "pong")
            assert not life.bot.world.journal.open_runs()


def test_a_picture_follows_its_message(tmp_path: Path) -> None:
    curve = Picture("Burn-down", (Chart("Builds", "builds", (Series("now", ((0.0, 4.0), (9.0, 0.0))),)),))
    with room() as slack, running_bot(tmp_path, configured(slack, tmp_path)) as life:
        drained = Notice("Jenkins is drained", Level.ALERT, picture=curve)
        life.bot.world.journal.commit(life.bot.world.everywhere("drained", drained))
        upload = eventually(lambda: slack.uploads)[0]
        assert (upload.data or b"").startswith(b"\x89PNG")
        assert upload.thread_ts == said(slack, "drained").ts


def half_approved(slack: SlackStandIn, life: Life) -> Message:
    """The prompt of a release that one of two has approved."""
    slack.say(OPERATOR, RELEASES, "!toy start")
    go = asked(slack, "Push it")
    slack.react(MANAGER, RELEASES, go.ts, "+1")
    eventually(lambda: votes(life))
    return go


def test_through_a_restart_with_votes_and_commands_cast_meanwhile(tmp_path: Path) -> None:
    with room() as slack:
        text = configured(slack, tmp_path)
        with running_bot(tmp_path, text) as life:
            go = half_approved(slack, life)
        slack.react(SECOND, RELEASES, go.ts, "+1")
        slack.say(OPERATOR, RELEASES, "!ping")
        with running_bot(tmp_path, text) as life:
            said(slack, "pong")
            accept = asked(slack, "Deploy it")
            slack.react(MANAGER, RELEASES, accept.ts, "+1")
            life.reaches(RunState.SUCCEEDED)
            keys = [str(one.metadata["event_payload"]["key"]) for one in slack.posted(RELEASES) if one.metadata]
            assert max(Counter(keys).values()) == 1


def test_a_vote_taken_back_while_the_bot_was_away_is_no_vote(tmp_path: Path) -> None:
    with room() as slack:
        text = configured(slack, tmp_path)
        with running_bot(tmp_path, text) as life:
            go = half_approved(slack, life)
        slack.unreact(MANAGER, RELEASES, go.ts, "+1")
        with running_bot(tmp_path, text) as life:
            eventually(lambda: all(vote.withdrawn for vote in votes(life)))
            slack.react(SECOND, RELEASES, go.ts, "+1")
            eventually(lambda: len(votes(life)) == 2)
            assert life.target.value == "old"
