"""The time that people have to comment: it counts down, a hold stops it, and not the starter shortens it."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from kcibot.core.notice import Level
from kcibot.core.procedure import Procedure
from kcibot.core.run import RunState, StepState
from kcibot_commands.announce.mail import AnnounceSettings
from kcibot_commands.rules.hours import Counting
from tests.fakes.announcing import AT_ONCE, DAY, LIST, OFFICE, RELEASE, VERBS, approve, ask
from tests.fakes.bench import Bench
from tests.fakes.kernelci_bench import Kernelci, kernelci, lines, start, stuck

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
THEN_STUCK = Procedure("release", *AT_ONCE, stuck())
FRIDAY = timedelta(days=4, hours=1)
"""From the begin of a bench to Friday, 10:00."""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Kernelci]:
    with kernelci(tmp_path) as there:
        yield there


def window(bench: Bench) -> tuple[StepState, str]:
    step = bench.run().step("comment-window")
    return step.state, step.text


def waits(bench: Bench) -> str:
    state, text = window(bench)
    assert state is StepState.WAITING, text
    return text


def card(bench: Bench) -> str:
    (row,) = [row for row in lines(bench, "run:1:card").splitlines() if "Comment window" in row]
    return row


def said_loudly(bench: Bench) -> str:
    bench.deliver()
    key = next(key for key in bench.notices if ":shortened:" in key)
    assert bench.notices[key].level is Level.ALERT
    assert bench.notices[key].mentions == ("operator",)
    return lines(bench, key)


# ---- when it ends ----------------------------------------------------------------------------------------------


def test_people_get_a_day_at_least_and_until_the_announced_time(place: Kernelci) -> None:
    bench = ask(place, AT_ONCE)
    assert waits(bench) == "comments until Tue 24 Nov 10:00 UTC (in 1 d 1 h), !hold REASON stops the release"
    bench.tick(DAY + 59 * MINUTE)
    assert bench.run().state is RunState.WAITING
    bench.tick(MINUTE)
    assert bench.run().state is RunState.SUCCEEDED


def test_the_window_ends_in_production_hours(place: Kernelci) -> None:
    bench = place.bench(hours=OFFICE)
    bench.clock.forward(FRIDAY)
    start(bench, AT_ONCE)
    assert waits(bench).startswith("comments until Mon 30 Nov 08:00 UTC"), "as the mail says"
    bench.tick(2 * DAY + 20 * HOUR)
    assert "(in 2 h 00 min)" in waits(bench)
    bench.tick(2 * HOUR)
    assert bench.run().state is RunState.SUCCEEDED


def test_a_bot_that_slept_through_the_opening_waits_for_the_next(place: Kernelci) -> None:
    bench = ask(place, AT_ONCE)
    bench.tick(36 * HOUR)  # Tuesday 21:00
    assert waits(bench).startswith("production hours from Wed 25 Nov 08:00 UTC (in 11 h 00 min)")
    bench.tick(11 * HOUR)
    assert bench.run().state is RunState.SUCCEEDED


def test_weekends_do_not_count_where_working_days_are_configured(place: Kernelci) -> None:
    settings = AnnounceSettings(recipients=(LIST,), sender="kcibot@example.org", counting=Counting.WORKING_DAYS)
    bench = place.bench(hours=OFFICE, sections=[settings])
    bench.clock.forward(FRIDAY)
    start(bench, AT_ONCE)
    assert waits(bench).startswith("comments until Mon 30 Nov 11:00 UTC")


def test_an_announcement_by_hand_gives_people_their_day_too(place: Kernelci) -> None:
    place.mailbox.refuse(LIST)
    bench = ask(place, AT_ONCE)
    bench.clock.forward(2 * HOUR)
    bench.say("operator", "!release skip send-announcement sent from my own mailbox")
    assert waits(bench).startswith("comments until Tue 24 Nov 11:00 UTC")
    bench.tick(DAY)
    assert bench.run().state is RunState.SUCCEEDED


def test_the_release_does_not_begin_before_the_announced_time(place: Kernelci) -> None:
    bench = place.bench(*VERBS, hours=OFFICE)
    bench.clock.forward(30 * MINUTE)
    start(bench, RELEASE)
    approve(bench)
    (mail,) = place.mailbox.messages
    assert "Roll-out: Tue 2026-11-24 11:00 UTC" in mail.text
    assert waits(bench).startswith("comments until Tue 24 Nov 11:00 UTC")


def test_a_hold_stops_the_release_after_the_window_however_long_it_lasts(place: Kernelci) -> None:
    bench = ask(place, THEN_STUCK)
    bench.say("observer", "!hold the mail server is down")
    bench.tick(DAY * 35 + 2 * HOUR)
    assert bench.run().state is RunState.PAUSED
    assert window(bench)[0] is StepState.WAITING
    bench.say("operator", "!unhold")
    bench.tick(MINUTE)
    assert bench.run().step("stuck").state is StepState.FAILED


# ---- the countdown ---------------------------------------------------------------------------------------------


def test_the_card_counts_down_every_quarter_of_an_hour_and_faster_at_the_end(place: Kernelci) -> None:
    bench = ask(place, AT_ONCE)
    bench.tick(HOUR)
    assert "comments until Tue 24 Nov 10:00 UTC (in 1 d 0 h)" in card(bench)
    bench.tick(15 * MINUTE)
    assert "(in 23 h 45 min)" in card(bench)
    bench.tick(22 * HOUR + 45 * MINUTE)
    assert "10:00 UTC (in 1 h 00 min)" in card(bench)
    for minutes in (55, 50):
        bench.tick(5 * MINUTE)
        assert f"(in {minutes} min)" in card(bench)
    bench.tick(36 * MINUTE)
    assert "(in 14 min)" in card(bench)
    bench.tick(MINUTE)
    assert "(in 13 min)" in card(bench)


def test_nobody_is_flooded_with_edits_of_the_card(place: Kernelci) -> None:
    bench = ask(place, AT_ONCE)
    texts = []
    for _ in range(25 * 12):
        bench.tick(5 * MINUTE)
        texts.append(window(bench)[1])
    edits = sum(before != after for before, after in pairwise(texts))
    assert bench.run().state is RunState.SUCCEEDED
    assert 90 < edits < 120


# ---- less of it ------------------------------------------------------------------------------------------------


def test_the_window_cannot_be_skipped(place: Kernelci) -> None:
    bench = ask(place, THEN_STUCK)
    bench.say("manager-1", "!release skip comment-window we hurry")
    (said,) = [reply for reply in bench.replies() if "skipped" in reply]
    assert said.startswith("“Comment window” cannot be skipped: !announce shorten SPAN REASON")
    assert waits(bench)


def test_a_release_manager_shortens_it_in_front_of_everybody(place: Kernelci) -> None:
    bench = ask(place, THEN_STUCK)
    bench.tick(HOUR)
    bench.say("manager-1", "!announce shorten 2h boots are broken, and it's Guillaume's fix")
    said = said_loudly(bench)
    assert "manager-1 lets comments end 12:00 UTC (in 2 h 00 min)" in said
    assert "boots are broken, and it's Guillaume's fix" in said
    assert "They were to end Tue 24 Nov 10:00 UTC" in said
    assert "comments until 12:00 UTC (in 2 h 00 min), shortened by manager-1: boots are broken" in card(bench)
    bench.tick(2 * HOUR - MINUTE)
    assert waits(bench)
    bench.tick(MINUTE)
    assert window(bench)[0] is StepState.DONE
    assert "shortened by manager-1: boots are broken" in window(bench)[1]
    entries = [one.entry for one in bench.journal.audit_tail(50) if one.entry.what == "shorten"]
    assert [(entry.who, entry.detail["reason"]) for entry in entries] == [
        ("manager-1", "boots are broken, and it's Guillaume's fix")
    ]


@pytest.mark.parametrize("who", ["operator", "observer"])
def test_only_a_release_manager_shortens_it(place: Kernelci, who: str) -> None:
    bench = ask(place, THEN_STUCK)
    bench.say(who, "!announce shorten 0m we hurry")
    assert bench.replies()[-1].startswith("!announce shorten needs the role release-manager")
    assert "(in 1 d 1 h)" in waits(bench)


def test_whoever_started_the_release_does_not_shorten_it(place: Kernelci) -> None:
    bench = place.bench(*VERBS, hours=OFFICE)
    start(bench, THEN_STUCK, who="manager-1")
    bench.say("manager-1", "!announce shorten 0m we hurry")
    assert bench.replies()[-1].startswith("Whoever started the release may not shorten")
    bench.say("manager-2", "!announce shorten 0m we hurry")
    assert window(bench)[0] is StepState.DONE


def test_what_is_shortened_still_waits_for_production_hours_and_holds(place: Kernelci) -> None:
    bench = ask(place, THEN_STUCK)
    bench.tick(8 * HOUR)  # Monday 17:00
    bench.say("observer", "!hold the mail server is down")
    bench.say("manager-1", "!announce shorten 0m we hurry")
    assert bench.run().state is RunState.PAUSED
    bench.say("operator", "!unhold")
    assert waits(bench).startswith(
        "production hours from Tue 24 Nov 08:00 UTC (in 15 h 00 min), shortened by manager-1"
    )
    bench.tick(15 * HOUR)
    assert window(bench)[0] is StepState.DONE


def test_the_window_is_never_made_longer(place: Kernelci) -> None:
    bench = ask(place, THEN_STUCK)
    bench.say("manager-1", "!announce shorten 3d everybody is away")
    assert bench.replies()[-1] == "Comments end Tue 24 Nov 10:00 UTC (in 1 d 1 h) already"
    bench.say("manager-1", "!announce shorten 1h")
    assert bench.replies()[-1] == "Why? Say it in one line, and I go on."


def test_there_is_nothing_to_shorten_before_the_mail_is_out(place: Kernelci) -> None:
    bench = ask(place)
    bench.say("manager-1", "!announce shorten 1h we hurry")
    assert bench.replies()[-1] == "No release waits for comments now"


def test_a_bot_that_starts_anew_knows_how_long_people_still_have(place: Kernelci) -> None:
    first = ask(place, THEN_STUCK)
    first.say("manager-1", "!announce shorten 5h we hurry")
    first.journal.close()
    second = place.bench(*VERBS, procedures=[THEN_STUCK], hours=OFFICE, clock=first.clock)
    second.clock.forward(2 * HOUR)
    second.engine.resume()
    second.tick()
    assert "(in 3 h 00 min), shortened by manager-1" in waits(second)
    second.tick(3 * HOUR)
    assert window(second)[0] is StepState.DONE
