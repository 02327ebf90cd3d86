"""What follows a message as a file: the whole of what was too long for it, and its picture. Each is there once."""

from dataclasses import replace
from pathlib import Path

import pytest

from kcibot.core.notice import Chart, Level, Notice, Picture, Series
from kcibot.errors import OutcomeUnknown, TransientError
from kcibot.sandbox.http import FaultKind
from kcibot.sandbox.slack import SlackStandIn
from tests.fakes.slack_bot import HERE, OUR_APP, bot, chat_on
from tests.fakes.slack_people import RELEASES, eventually, team

CARD = Notice("release 2019.6", lines=("tags: done",), milestone="m")
LONG = Notice("log", lines=tuple(f"line {number} " + "x" * 80 for number in range(3000)))
CURVE = Picture("Burn-down", (Chart("Builds", "builds", (Series("now", ((0.0, 4.0), (5.0, 2.0), (9.0, 0.0))),)),))
DRAINED = Notice("Jenkins is drained", Level.ALERT, ("nothing runs",), picture=CURVE)
PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def fonts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The list of fonts is made once."""
    return tmp_path_factory.mktemp("fonts")


def files(slack: SlackStandIn, ts: str) -> list[str]:
    """The names of what was uploaded below that message."""
    return [str(file["name"]) for message in slack.thread(RELEASES, ts) for file in message.files]


# ---- what was too long -------------------------------------------------------------------------------------------


def test_what_does_not_fit_follows_as_a_file_below_the_message() -> None:
    with bot() as (slack, chat, _):
        ref = chat.post(HERE, LONG, "long")
        upload = eventually(lambda: slack.uploads)[0]
        data = upload.data or b""
        assert b"line 2999" in data
        files = slack.thread(RELEASES, ref.message_id)
        assert [one["id"] for one in files[0].files] == [upload.id]


def test_in_a_thread_the_file_is_in_the_same_thread() -> None:
    with bot() as (slack, chat, _):
        card = chat.post(HERE, CARD, "card")
        chat.post(HERE, LONG, "long", card)
        below = slack.thread(RELEASES, card.message_id)
        assert [bool(one.files) for one in below] == [False, True]


@pytest.mark.parametrize("method", ["files.getUploadURLExternal", "files.completeUploadExternal"])
def test_a_file_that_cannot_be_uploaded_is_regretted_and_the_message_stands(method: str) -> None:
    with bot() as (slack, chat, _):
        slack.spoil(method, FaultKind.STATUS)
        ref = chat.post(HERE, LONG, "long")
        below = slack.thread(RELEASES, ref.message_id)
        assert len(below) == 1
        assert "could not upload" in below[0].text
        assert len(slack.posted(RELEASES)) == 2


def test_what_was_lost_on_its_way_with_a_file_gets_its_file_when_it_is_found() -> None:
    with bot() as (slack, chat, _):
        slack.spoil("chat.postMessage", FaultKind.RESET_AFTER)
        with pytest.raises(OutcomeUnknown):
            chat.post(HERE, LONG, "long")
        ref = chat.find(HERE, "long")
        assert ref is not None
        assert len(slack.uploads) == 1
        chat.find(HERE, "long")
        assert len(slack.uploads) == 1
        assert slack.thread(RELEASES, ref.message_id)[0].files


def test_an_edit_that_is_too_long_gets_its_file_once_for_each_level() -> None:
    with bot() as (slack, chat, _):
        ref = chat.post(HERE, CARD, "card")
        assert not slack.uploads
        for number in range(3):
            chat.edit(ref, replace(LONG, lines=(f"changed {number}", *LONG.lines)))
        assert len(slack.uploads) == 1
        chat.edit(ref, replace(LONG, level=Level.SUCCESS))
        chat.edit(ref, replace(LONG, level=Level.SUCCESS))
        assert len(slack.uploads) == 2
        assert len(set(files(slack, ref.message_id))) == 2


def test_after_a_restart_a_file_that_is_there_is_not_uploaded_again_and_one_that_is_missing_is() -> None:
    with bot() as (slack, chat, _):
        card = chat.post(HERE, CARD, "card")
        refs = [chat.post(HERE, LONG, "in the channel"), chat.post(HERE, LONG, "below", card)]
        for ref in refs:
            chat_on(slack).edit(ref, LONG)
        assert len(slack.uploads) == 2
        ref = chat.post(HERE, CARD, "crashed before its file")
        chat_on(slack).edit(ref, LONG)
        chat_on(slack).edit(ref, LONG)
        assert len(slack.uploads) == 3


def test_whether_a_file_is_there_is_not_guessed() -> None:
    with bot() as (slack, chat, _):
        ref = chat.post(HERE, LONG, "long")
        after = chat_on(slack)
        slack.spoil("conversations.replies", FaultKind.STATUS)
        with pytest.raises(TransientError):
            after.edit(ref, LONG)
        after.edit(ref, LONG)
        assert len(slack.uploads) == 1


def test_a_file_whose_answer_was_lost_is_looked_for_before_it_is_regretted() -> None:
    with bot() as (slack, chat, _):
        slack.spoil("files.completeUploadExternal", FaultKind.RESET_AFTER)
        ref = chat.post(HERE, LONG, "long")
        below = slack.thread(RELEASES, ref.message_id)
        assert [bool(one.files) for one in below] == [True]


def test_a_moment_of_429_does_not_lose_the_file() -> None:
    with bot() as (slack, chat, _):
        slack.rate_limit("files.completeUploadExternal", 1)
        ref = chat.post(HERE, LONG, "long")
        assert len(files(slack, ref.message_id)) == 1


def test_a_regret_is_said_once() -> None:
    with bot() as (slack, chat, _):
        slack.rate_limit("files.getUploadURLExternal", 60)
        ref = chat.post(HERE, LONG, "long")
        chat.edit(ref, LONG)
        assert len(slack.thread(RELEASES, ref.message_id)) == 1


# ---- pictures ----------------------------------------------------------------------------------------------------


def test_a_picture_is_uploaded_below_its_message_and_described_in_words(fonts: Path) -> None:
    with bot(fonts=fonts) as (slack, chat, _):
        ref = chat.post(HERE, DRAINED, "drained")
        upload = eventually(lambda: slack.uploads)[0]
        assert (upload.data or b"").startswith(PNG)
        assert (upload.title, upload.filename.endswith(".png")) == ("Burn-down", True)
        assert "Builds: 4" in upload.alt_text
        assert files(slack, ref.message_id) == [upload.filename]
        assert "Builds: 4" in str(slack.message(RELEASES, ref.message_id).blocks)


def test_a_picture_in_a_thread_is_in_the_same_thread(fonts: Path) -> None:
    with bot(fonts=fonts) as (slack, chat, _):
        card = chat.post(HERE, CARD, "card")
        chat.post(HERE, replace(DRAINED, level=Level.INFO), "drain", card)
        assert len(files(slack, card.message_id)) == 1


def test_an_edit_does_not_upload_the_picture_again_though_its_curve_goes_on(fonts: Path) -> None:
    with bot(fonts=fonts) as (slack, chat, _):
        waiting = replace(DRAINED, level=Level.INFO)
        ref = chat.post(HERE, waiting, "drain")
        longer = replace(CURVE.charts[0], series=(Series("now", ((0.0, 4.0), (20.0, 1.0))),))
        for _ in range(3):
            chat.edit(ref, replace(waiting, picture=replace(CURVE, charts=(longer,))))
        assert len(slack.uploads) == 1
        assert "in 20 min" in str(slack.message(RELEASES, ref.message_id).blocks)
        chat.edit(ref, replace(waiting, level=Level.SUCCESS))
        assert len(slack.uploads) == 2


def test_after_a_kill_between_message_and_picture_the_picture_follows_and_after_it_none_does(fonts: Path) -> None:
    with bot() as (slack, without_picture, _):
        ref = without_picture.post(HERE, DRAINED, "drained")
        assert not slack.uploads
        for _ in range(2):
            after = chat_on(slack, fonts=fonts)
            assert after.find(HERE, "drained") == ref
            after.edit(ref, DRAINED)
        assert len(slack.uploads) == 1


def test_where_none_can_be_drawn_the_line_of_text_is_the_picture() -> None:
    with bot() as (slack, chat, _):
        ref = chat.post(HERE, DRAINED, "drained")
        assert "Builds: 4" in str(slack.message(RELEASES, ref.message_id).blocks)
        assert not slack.calls("files.getUploadURLExternal")
        assert not slack.thread(RELEASES, ref.message_id)


def test_a_picture_that_cannot_be_uploaded_is_not_regretted_for_its_text_is_there(fonts: Path) -> None:
    with bot(fonts=fonts) as (slack, chat, _):
        slack.spoil("files.getUploadURLExternal", FaultKind.STATUS)
        ref = chat.post(HERE, DRAINED, "drained")
        assert not slack.thread(RELEASES, ref.message_id)


def test_another_persons_file_of_that_name_is_not_ours(fonts: Path) -> None:
    with bot() as (slack, chat, _):
        ref = chat.post(HERE, LONG, "long")
        ours = slack.thread(RELEASES, ref.message_id)[0]
        slack.workspace.message(RELEASES, ours.ts).user = "U0OPER"
        slack.workspace.message(RELEASES, ours.ts).bot_id = ""
        chat_on(slack, fonts=fonts).edit(ref, LONG)
        assert len(slack.uploads) == 2


def test_nothing_is_looked_for_where_no_file_belongs() -> None:
    with team(None, OUR_APP) as slack:
        chat = chat_on(slack)
        ref = chat.post(HERE, CARD, "card")
        chat.edit(ref, CARD)
        assert not slack.calls("conversations.replies")
