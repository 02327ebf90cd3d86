"""The stand-in's Web API, as slack_sdk's own client sees it."""

import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest
import requests
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler

from kcibot.sandbox.http import FaultKind
from kcibot.sandbox.slack import BOT_SCOPES, NoSuchThingError, SlackApp, SlackStandIn
from tests.fakes.slack_people import (
    ELSEWHERE,
    GUEST,
    MANAGER,
    OPERATOR,
    RELEASES,
    SECRET,
    STRANGER,
    client,
    refusal,
    team,
)


@pytest.fixture
def slack() -> Iterator[SlackStandIn]:
    with team() as here:
        yield here


@pytest.fixture
def web(slack: SlackStandIn) -> WebClient:
    return client(slack)


def raw(slack: SlackStandIn, method: str, body: bytes, kind: str, token: str | None = None) -> dict:
    headers = {"Content-Type": kind, "Authorization": f"Bearer {token or slack.app.bot_token}"}
    return requests.post(slack.api + method, body, headers=headers, timeout=5).json()


def test_auth_test_tells_who_the_bot_is_and_what_its_token_may(slack, web):
    answer = web.auth_test()
    assert (answer["user_id"], answer["bot_id"]) == (slack.app.user, slack.app.bot)
    assert set(answer.headers["x-oauth-scopes"].split(",")) == BOT_SCOPES


def test_an_empty_json_body_is_no_body(slack):
    assert raw(slack, "auth.test", b"", "application/json;charset=utf-8")["ok"]


def test_bodies_are_taken_as_form_and_as_json(slack):
    form = b"channel=C0REL&text=one&blocks=" + quote('[{"type":"divider"}]').encode()
    assert raw(slack, "chat.postMessage", form, "application/x-www-form-urlencoded")["message"]["blocks"]
    body = json.dumps({"channel": RELEASES, "text": "two"}).encode()
    assert raw(slack, "chat.postMessage", body, "application/json")["ok"]
    assert [message.text for message in slack.posted(RELEASES)] == ["one", "two"]
    assert raw(slack, "chat.postMessage", b"{", "application/json")["error"] == "invalid_json"
    assert raw(slack, "chat.postMessage", b"[]", "application/json")["error"] == "json_not_object"
    assert raw(slack, "chat.postMessage", b"x", "text/csv")["error"] == "invalid_post_type"


def test_tokens_are_told_apart(slack):
    assert refusal(WebClient(base_url=slack.api).auth_test) == "not_authed"
    assert refusal(WebClient("xoxb-other", base_url=slack.api).auth_test) == "invalid_auth"
    assert refusal(WebClient(slack.app.app_token, base_url=slack.api).auth_test) == "not_allowed_token_type"
    wrong = WebClient(base_url=slack.api)
    assert refusal(lambda: wrong.apps_connections_open(app_token=slack.app.bot_token)) == "not_allowed_token_type"
    assert wrong.apps_connections_open(app_token=slack.app.app_token)["url"].startswith("ws://127.0.0.1:")


def test_who_is_shut_out_is_refused_by_every_method_until_let_in(slack, web):
    slack.shut_out("account_inactive")
    assert refusal(web.auth_test) == "account_inactive"
    assert refusal(lambda: web.chat_postMessage(channel=RELEASES, text="x")) == "account_inactive"
    slack.let_in()
    assert not slack.posted(RELEASES)
    assert web.auth_test()["ok"]


def test_a_person_shares_a_file_with_a_comment(slack, web):
    ts = slack.attach(OPERATOR, RELEASES, "console.log", "look")
    shared = web.conversations_history(channel=RELEASES)["messages"][0]
    assert (shared["ts"], shared["subtype"], shared["text"]) == (ts, "file_share", "look")
    assert [file["name"] for file in shared["files"]] == ["console.log"]


def test_a_method_without_its_scope_says_which_is_needed():
    with team(app=SlackApp(scopes=BOT_SCOPES - {"reactions:read", "channels:history"})) as slack:
        web = client(slack)
        ts = slack.say(OPERATOR, RELEASES, "hello")
        with pytest.raises(SlackApiError) as refused:
            web.reactions_get(channel=RELEASES, timestamp=ts)
        assert refused.value.response["needed"] == "reactions:read"
        assert refusal(lambda: web.conversations_history(channel=RELEASES)) == "missing_scope"


def test_an_unknown_method_is_refused_and_an_unknown_argument_remarked(slack, web):
    assert refusal(lambda: web.api_call("chat.sing")) == "unknown_method"
    web.api_call("chat.postMessage", json={"channel": RELEASES, "text": "x", "colour": "red"})
    assert slack.remarks == ("chat.postMessage: unknown arguments colour",)


def test_unescaped_data_is_remarked(slack, web):
    web.chat_postMessage(channel=RELEASES, text="fine &amp; <@U1> <https://x|x>")
    assert not slack.remarks
    block = {"type": "section", "text": {"type": "mrkdwn", "text": "a <b"}}
    web.chat_postMessage(channel=RELEASES, text="x", blocks=[block])
    assert "unescaped" in slack.remarks[0]


def test_a_message_keeps_its_metadata_which_only_those_get_who_ask(slack, web):
    metadata = {"event_type": "kcibot", "event_payload": {"key": "k1"}}
    ts = web.chat_postMessage(channel=RELEASES, text="x", metadata=metadata)["ts"]
    assert slack.message(RELEASES, ts).metadata == metadata
    assert "metadata" not in web.conversations_history(channel=RELEASES)["messages"][0]
    asked = web.conversations_history(channel=RELEASES, include_all_metadata=True)["messages"][0]
    assert asked["metadata"] == metadata
    assert refusal(lambda: web.chat_postMessage(channel=RELEASES, text="x", metadata={"key": 1})) == (
        "invalid_metadata_format"
    )


def test_channels_are_unknown_not_entered_or_hidden(web):
    for channel, error in ((ELSEWHERE, "not_in_channel"), (SECRET, "channel_not_found"), ("C9", "channel_not_found")):
        assert refusal(lambda channel=channel: web.chat_postMessage(channel=channel, text="x")) == error
        assert refusal(lambda channel=channel: web.conversations_history(channel=channel)) == error
    assert web.conversations_info(channel=ELSEWHERE)["channel"]["is_member"] is False
    assert refusal(lambda: web.conversations_info(channel=SECRET)) == "channel_not_found"


def test_an_archived_channel_takes_no_message(slack, web):
    slack.workspace.channel(RELEASES).archived = True
    assert refusal(lambda: web.chat_postMessage(channel=RELEASES, text="x")) == "is_archived"


def test_nothing_is_no_message(web):
    assert refusal(lambda: web.api_call("chat.postMessage", json={"channel": RELEASES, "text": " "})) == "no_text"


def test_long_text_is_cut_when_posted_and_refused_when_updated(slack, web):
    answer = web.chat_postMessage(channel=RELEASES, text="x" * 40_001)
    assert answer["response_metadata"]["warnings"] == ["message_truncated"]
    assert len(slack.message(RELEASES, answer["ts"]).text) == 40_000
    assert refusal(lambda: web.chat_update(channel=RELEASES, ts=answer["ts"], text="x" * 4001)) == "msg_too_long"


def test_an_update_replaces_text_and_blocks_and_keeps_metadata(slack, web):
    metadata = {"event_type": "kcibot", "event_payload": {}}
    divider = [{"type": "divider"}]
    ts = web.chat_postMessage(channel=RELEASES, text="old", blocks=divider, metadata=metadata)["ts"]
    web.chat_update(channel=RELEASES, ts=ts, text="new", blocks=[{"type": "divider"}, {"type": "divider"}])
    message = slack.message(RELEASES, ts)
    assert (message.text, len(message.blocks), message.metadata, message.edited) == ("new", 2, metadata, None)
    web.chat_update(channel=RELEASES, ts=ts, text="only text")
    assert slack.message(RELEASES, ts).blocks == []
    assert slack.message(RELEASES, ts).edited


def test_only_its_own_messages_can_a_bot_change(slack, web):
    ts = slack.say(OPERATOR, RELEASES, "mine")
    assert refusal(lambda: web.chat_update(channel=RELEASES, ts=ts, text="x")) == "cant_update_message"
    assert refusal(lambda: web.chat_delete(channel=RELEASES, ts=ts)) == "cant_delete_message"
    assert refusal(lambda: web.chat_update(channel=RELEASES, ts="1.000001", text="x")) == "message_not_found"


def test_a_thread_holds_replies_which_the_channel_does_not_show(slack, web):
    first = web.chat_postMessage(channel=RELEASES, text="card")["ts"]
    for number in range(3):
        web.chat_postMessage(channel=RELEASES, text=f"reply {number}", thread_ts=first)
    loud = web.chat_postMessage(channel=RELEASES, text="loud", thread_ts=first, reply_broadcast=True)["ts"]
    shown = web.conversations_history(channel=RELEASES)["messages"]
    assert [message["ts"] for message in shown] == [loud, first]
    assert shown[1]["reply_count"] == 4
    page = web.conversations_replies(channel=RELEASES, ts=first, limit=2)
    assert [message["text"] for message in page["messages"]] == ["card", "reply 0"]
    rest = web.conversations_replies(
        channel=RELEASES, ts=first, limit=9, cursor=page["response_metadata"]["next_cursor"]
    )
    assert [message["text"] for message in rest["messages"]] == ["reply 1", "reply 2", "loud"]
    assert refusal(lambda: web.conversations_replies(channel=RELEASES, ts="1.000001")) == "thread_not_found"


def test_the_history_comes_newest_first_in_pages(slack, web):
    said = [slack.say(OPERATOR, RELEASES, f"line {number}") for number in range(5)]
    got = [
        message["ts"] for page in web.conversations_history(channel=RELEASES, limit=2) for message in page["messages"]
    ]
    assert got == said[::-1]
    inside = web.conversations_history(channel=RELEASES, oldest=said[1], latest=said[3])["messages"]
    assert [message["ts"] for message in inside] == [said[2]]
    borders = web.conversations_history(channel=RELEASES, oldest=said[1], latest=said[3], inclusive=True)["messages"]
    assert [message["ts"] for message in borders] == [said[3], said[2], said[1]]
    assert refusal(lambda: web.conversations_history(channel=RELEASES, cursor="x")) == "invalid_cursor"
    assert refusal(lambda: web.conversations_history(channel=RELEASES, oldest="soon")) == "invalid_ts_oldest"


def test_reactions_are_told_as_they_stand(slack, web):
    ts = web.chat_postMessage(channel=RELEASES, text="vote")["ts"]
    assert "reactions" not in web.reactions_get(channel=RELEASES, timestamp=ts)["message"]
    web.reactions_add(channel=RELEASES, timestamp=ts, name="thumbsup")
    slack.react(MANAGER, RELEASES, ts, "+1::skin-tone-3")
    slack.react(OPERATOR, RELEASES, ts, "+1")
    told = web.reactions_get(channel=RELEASES, timestamp=ts, full=True)["message"]["reactions"]
    assert told == [
        {"name": "+1", "users": [slack.app.user, OPERATOR], "count": 2},
        {"name": "+1::skin-tone-3", "users": [MANAGER], "count": 1},
    ]
    assert refusal(lambda: web.reactions_add(channel=RELEASES, timestamp=ts, name="+1")) == "already_reacted"
    web.reactions_remove(channel=RELEASES, timestamp=ts, name="+1")
    assert refusal(lambda: web.reactions_remove(channel=RELEASES, timestamp=ts, name="+1")) == "no_reaction"
    assert refusal(lambda: web.reactions_add(channel=RELEASES, timestamp=ts, name="a b")) == "invalid_name"
    assert refusal(lambda: web.reactions_get(channel=RELEASES)) == "no_item_specified"


def test_without_full_not_every_user_of_a_reaction_is_named(slack, web):
    ts = web.chat_postMessage(channel=RELEASES, text="vote")["ts"]
    for number in range(60):
        slack.join(slack.add_person(f"U1{number:03d}", f"p{number}"), RELEASES)
        slack.react(f"U1{number:03d}", RELEASES, ts, "tada")
    short = web.reactions_get(channel=RELEASES, timestamp=ts)["message"]["reactions"][0]
    whole = web.reactions_get(channel=RELEASES, timestamp=ts, full=True)["message"]["reactions"][0]
    assert (len(short["users"]), short["count"], len(whole["users"])) == (50, 60, 60)


def test_guests_and_strangers_are_told(web):
    guest, stranger = web.users_info(user=GUEST)["user"], web.users_info(user=STRANGER)["user"]
    assert guest["is_restricted"]
    assert not guest["is_ultra_restricted"]
    assert stranger["is_stranger"]
    assert stranger["team_id"] != web.auth_test()["team_id"]
    assert refusal(lambda: web.users_info(user="U9")) == "user_not_found"


def test_an_ephemeral_message_is_for_one_person_in_the_channel(slack, web):
    ts = web.chat_postEphemeral(channel=RELEASES, user=OPERATOR, text="not you")["message_ts"]
    assert [(told.user, told.text, told.ts) for told in slack.ephemerals] == [(OPERATOR, "not you", ts)]
    assert not web.conversations_history(channel=RELEASES)["messages"]
    assert refusal(lambda: web.chat_postEphemeral(channel=RELEASES, user="U9", text="x")) == "user_not_in_channel"


def test_a_direct_conversation_is_opened_once(slack, web):
    first = web.conversations_open(users=OPERATOR)["channel"]["id"]
    assert web.conversations_open(users=[OPERATOR])["channel"]["id"] == first
    assert web.chat_postMessage(channel=OPERATOR, text="psst")["channel"] == first
    assert refusal(lambda: web.conversations_open(users="U9")) == "user_not_found"


def test_a_permalink_leads_to_the_message(web):
    ts = web.chat_postMessage(channel=RELEASES, text="x")["ts"]
    link = web.chat_getPermalink(channel=RELEASES, message_ts=ts)["permalink"]
    assert link.endswith(f"/archives/{RELEASES}/p{ts.replace('.', '')}")


def test_a_file_is_uploaded_in_two_steps_into_a_thread(slack, web):
    ts = web.chat_postMessage(channel=RELEASES, text="card")["ts"]
    web.files_upload_v2(
        channel=RELEASES, thread_ts=ts, filename="log.txt", title="Log", content="line\n" * 1000, initial_comment="log"
    )
    (upload,) = slack.uploads
    assert (upload.filename, upload.title, upload.thread_ts, upload.data) == ("log.txt", "Log", ts, b"line\n" * 1000)
    assert slack.thread(RELEASES, ts)[0].files[0]["name"] == "log.txt"
    picture = bytes(range(256))
    web.files_upload_v2(channel=RELEASES, filename="burn.png", file=picture, alt_txt="burn-down")
    assert slack.uploads[1].data == picture


def test_a_file_that_did_not_arrive_is_not_completed(slack, web):
    opened = web.files_getUploadURLExternal(filename="a", length=3)
    files = [{"id": opened["file_id"], "title": "a"}]
    assert refusal(lambda: web.files_completeUploadExternal(files=files, channel_id=RELEASES)) == "file_not_found"
    assert refusal(lambda: web.files_getUploadURLExternal(filename="a", length=0)) == "missing_argument"
    body = json.dumps({"filename": "a", "length": 3}).encode()
    assert raw(slack, "files.getUploadURLExternal", body, "application/json")["error"] == "invalid_arguments"


def test_every_ts_is_new_and_later_whatever_the_clock_does(slack):
    first = slack.say(OPERATOR, RELEASES, "one")
    slack.skew(-3600)
    second = slack.say(OPERATOR, RELEASES, "two")
    slack.skew(+3600)
    third = slack.say(OPERATOR, RELEASES, "three")
    assert float(first) < float(second) < float(third)
    assert float(third) - float(second) > 3000
    assert len(first.split(".")[1]) == 6


def test_429_is_answered_per_method_with_the_seconds_to_wait(slack, web):
    slack.rate_limit("chat.postMessage", retry_after=7)
    with pytest.raises(SlackApiError) as refused:
        web.chat_postMessage(channel=RELEASES, text="x")
    assert (refused.value.response.status_code, refused.value.response["error"]) == (429, "ratelimited")
    assert refused.value.response.headers["Retry-After"] == "7"
    assert web.auth_test()["ok"]
    assert web.chat_postMessage(channel=RELEASES, text="x")["ok"]
    assert [call.error for call in slack.calls("chat.postMessage")] == ["ratelimited", ""]


def test_the_vendors_rate_limit_handler_waits_and_comes_back(slack):
    slack.rate_limit("auth.test", retry_after=1)
    patient = WebClient(slack.app.bot_token, base_url=slack.api, retry_handlers=[RateLimitErrorRetryHandler()])
    assert patient.auth_test()["ok"]


def test_a_reset_comes_before_or_after_the_effect(slack, web):
    slack.spoil("chat.postMessage", FaultKind.RESET_BEFORE)
    with pytest.raises(OSError, match=r"."):
        web.chat_postMessage(channel=RELEASES, text="never")
    slack.spoil("chat.postMessage", FaultKind.RESET_AFTER)
    with pytest.raises(OSError, match=r"."):
        web.chat_postMessage(channel=RELEASES, text="posted")
    slack.spoil("chat.postMessage", FaultKind.STATUS, status=500)
    with pytest.raises(SlackApiError):
        web.chat_postMessage(channel=RELEASES, text="never")
    assert [message.text for message in slack.posted(RELEASES)] == ["posted"]


def test_an_answer_can_lie_about_a_true_effect(slack, web):
    slack.lie("chat.postMessage", lambda _: {"ok": False, "error": "internal_error"})
    assert refusal(lambda: web.chat_postMessage(channel=RELEASES, text="posted")) == "internal_error"
    assert len(slack.posted(RELEASES)) == 1


def test_the_first_message_of_a_thread_leaves_a_tombstone(slack, web):
    ts = web.chat_postMessage(channel=RELEASES, text="card")["ts"]
    slack.say(OPERATOR, RELEASES, "why?", thread=ts)
    web.chat_delete(channel=RELEASES, ts=ts)
    assert web.conversations_history(channel=RELEASES)["messages"][0]["subtype"] == "tombstone"
    assert refusal(lambda: web.reactions_get(channel=RELEASES, timestamp=ts)) == "message_not_found"


def test_what_a_person_could_not_do_is_no_act(slack):
    ts = slack.say(OPERATOR, ELSEWHERE, "hello")
    with pytest.raises(NoSuchThingError):
        slack.say(GUEST, ELSEWHERE, "let me in")
    with pytest.raises(NoSuchThingError):
        slack.edit(MANAGER, ELSEWHERE, ts, "not mine")
    with pytest.raises(NoSuchThingError):
        slack.press(OPERATOR, ELSEWHERE, ts, "approve")
