"""Names that look like others, and buttons that are pressed again, elsewhere or by others: none of it is an answer."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.both_bot import SECOND, Both, both, button, caught_up, nothing_began, started, still_waits, votes
from tests.fakes.irc_bot import Life
from tests.fakes.irc_server import until
from tests.fakes.slack_people import ELSEWHERE, GUEST, MANAGER, OBSERVER, OPERATOR, RELEASES

Payload = dict[str, Any]

LOOKALIKE = "\N{CYRILLIC SMALL LETTER O}perator"
WIDE = ord("\N{FULLWIDTH DIGIT ZERO}") - ord("0")
CYRILLIC = {
    "a": "\N{CYRILLIC SMALL LETTER A}",
    "c": "\N{CYRILLIC SMALL LETTER ES}",
    "e": "\N{CYRILLIC SMALL LETTER IE}",
}


@pytest.fixture
def rooms(tmp_path: Path) -> Iterator[Both]:
    with both(tmp_path) as one:
        yield one


@pytest.fixture
def life(rooms: Both) -> Iterator[Life]:
    with rooms.bot() as one:
        yield one


# ---- names ---------------------------------------------------------------------------------------------------------


def test_a_name_of_letters_that_look_the_same_is_nobodys(rooms: Both, life: Life) -> None:
    rooms.slack.add_person("U0FAKE", LOOKALIKE)
    rooms.slack.workspace.channel(RELEASES).members.add("U0FAKE")
    rooms.irc.join(LOOKALIKE)
    rooms.irc.say(LOOKALIKE, "!toy start")
    rooms.irc.hear("needs the role")
    rooms.slack.say("U0FAKE", RELEASES, "!toy start")
    until(lambda: any(one.user == "U0FAKE" for one in rooms.slack.ephemerals))
    nothing_began(rooms, life)
    who = [entry.entry.who for entry in life.bot.world.journal.audit_tail(5) if entry.entry.what == "refused"]
    assert who == [f"irc user {LOOKALIKE}", f"slack user {LOOKALIKE} (U0FAKE)"]


def test_a_command_of_letters_that_look_the_same_is_none(rooms: Both, life: Life) -> None:
    for line in ("!t\N{CYRILLIC SMALL LETTER O}y start", "!toy st\N{CYRILLIC SMALL LETTER A}rt"):
        rooms.irc.say("operator", line)
        rooms.slack.say(OPERATOR, RELEASES, line)
    nothing_began(rooms, life)
    assert len(rooms.irc.heard("Did you mean !toy start?")) >= 2


def test_a_code_of_letters_that_look_the_same_approves_nothing(rooms: Both, life: Life) -> None:
    started(rooms)
    code = rooms.code()
    wide, cyrillic = chr(ord(code[0]) + WIDE) + code[1:], "".join(CYRILLIC.get(one, one) for one in code)
    for forged in {wide, cyrillic} - {code}:
        rooms.irc.say("manager-1", f"!approve {forged}")
        rooms.slack.say(MANAGER, RELEASES, f"!approve {forged}")
    still_waits(rooms, life)
    rooms.irc.say("manager-1", f"!approve {code.upper()}")
    until(lambda: len(votes(life)) == 1)


# ---- buttons -------------------------------------------------------------------------------------------------------


def test_a_button_pressed_by_somebody_without_the_role_is_no_vote(rooms: Both, life: Life) -> None:
    started(rooms)
    go = rooms.asked("Push it")
    rooms.slack.press(GUEST, RELEASES, go.ts, button(go))
    until(lambda: any(one.user == GUEST for one in rooms.slack.ephemerals))
    still_waits(rooms, life)


def in_another_channel(payload: Payload) -> None:
    payload["container"]["channel_id"] = payload["channel"]["id"] = ELSEWHERE


def on_another_message(payload: Payload) -> None:
    """One of the bot's, that offers nothing."""
    payload["container"]["message_ts"] = payload["message"]["ts"] = payload["of the bot"]


def on_no_message(payload: Payload) -> None:
    payload["container"]["message_ts"] = payload["message"]["ts"] = f"{time.time():.6f}"


def as_seen_by_one_alone(payload: Payload) -> None:
    payload["container"]["is_ephemeral"] = True


def with_another_command(payload: Payload) -> None:
    payload["actions"][0]["value"] = "!toy start"


def for_another_prompt(payload: Payload) -> None:
    payload["actions"][0]["value"] = "!approve 0123456789ab"


def by_who_has_no_role(payload: Payload) -> None:
    payload["user"]["id"] = OBSERVER


@pytest.mark.parametrize(
    "change",
    [
        in_another_channel,
        on_another_message,
        on_no_message,
        as_seen_by_one_alone,
        with_another_command,
        for_another_prompt,
        by_who_has_no_role,
    ],
)
def test_a_stolen_button_payload_is_worth_nothing_elsewhere(
    change: Callable[[Payload], None], rooms: Both, life: Life
) -> None:
    rooms.slack.say(OBSERVER, RELEASES, "!ping first")
    other = rooms.tell("pong first")
    started(rooms)
    go = rooms.asked("Push it")
    forged = stolen(rooms.slack.press(MANAGER, RELEASES, go.ts, button(go)))
    until(lambda: len(votes(life)) == 1)
    forged["of the bot"] = other.ts
    change(forged)
    if forged["user"]["id"] == MANAGER:
        forged["user"]["id"] = SECOND  # whose vote would be the second, and enough
    rooms.slack.interact(forged)
    caught_up(rooms)
    assert [vote.person for vote in votes(life)] == ["manager-1"]
    assert (len(life.bot.world.journal.open_runs()), life.target.effects) == (1, 0)


def test_a_button_payload_that_is_sent_again_counts_once_and_not_for_the_next_prompt(rooms: Both, life: Life) -> None:
    started(rooms)
    go = rooms.asked("Push it")
    payload = rooms.slack.press(MANAGER, RELEASES, go.ts, button(go))
    until(lambda: len(votes(life)) == 1)
    rooms.slack.interact(payload)
    rooms.slack.interact(stolen(payload))
    caught_up(rooms)
    assert [vote.person for vote in votes(life)] == ["manager-1"]
    rooms.slack.press(SECOND, RELEASES, go.ts, button(go))
    rooms.asked("Deploy it")
    rooms.slack.interact(payload)
    rooms.slack.interact(stolen(payload))
    caught_up(rooms)
    assert life.bot.world.journal.votes(life.bot.world.journal.asks(1)[1]) == ()
    assert life.target.value == "new"


def stolen(payload: Payload) -> Payload:
    """The same, as if the button had been pressed just now: of long ago it would not be heard at all."""
    forged: Payload = json.loads(json.dumps(payload))
    forged["actions"][0]["action_ts"] = f"{time.time():.6f}"
    return forged
