"""What Block Kit refuses, the stand-in refuses."""

from typing import Any

import pytest
from slack_sdk.errors import SlackApiError

from kcibot.sandbox.slack.blocks import check
from tests.fakes.slack_people import RELEASES, client, refusal, team


def plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text}


def marked(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text}


def button(action: str = "approve", **more: Any) -> dict[str, Any]:
    return {"type": "button", "action_id": action, "text": plain("Approve"), **more}


def section(**more: Any) -> dict[str, Any]:
    return {"type": "section", **more}


GOOD = [
    {"type": "header", "text": plain("x" * 150)},
    section(text=marked("x" * 3000), accessory=button(value="v" * 2000)),
    section(fields=[marked("x" * 400)] * 10, block_id="facts"),
    {"type": "divider"},
    {"type": "context", "elements": [marked("small"), plain("print")]},
    {"type": "actions", "elements": [button(str(number)) for number in range(25)]},
    {"type": "image", "image_url": "https://example.org/x.png", "alt_text": "burn-down"},
]
BAD = {
    "a long header": {"type": "header", "text": plain("x" * 151)},
    "a header with markup": {"type": "header", "text": marked("x")},
    "a long section": section(text=marked("x" * 3001)),
    "an empty text": section(text=marked("")),
    "an empty section": section(),
    "eleven fields": section(fields=[marked("x")] * 11),
    "a long field": section(fields=[marked("x" * 2001)]),
    "a field that does not exist": section(text=marked("x"), colour="red"),
    "a text with an unknown field": section(text={"type": "mrkdwn", "text": "x", "bold": True}),
    "emoji in markup": section(text={"type": "mrkdwn", "text": "x", "emoji": True}),
    "an unknown block": {"type": "marquee"},
    "no block": "section",
    "a long button": {"type": "actions", "elements": [button(text=plain("x" * 76))]},
    "a long value": {"type": "actions", "elements": [button(value="v" * 2001)]},
    "a value that is no text": {"type": "actions", "elements": [button(value=1)]},
    "an unknown style": {"type": "actions", "elements": [button(style="green")]},
    "no elements": {"type": "actions", "elements": []},
    "many elements": {"type": "actions", "elements": [button(str(number)) for number in range(26)]},
    "two buttons of one action": {"type": "actions", "elements": [button(), button()]},
    "eleven in a context": {"type": "context", "elements": [marked("x")] * 11},
    "a long block id": {"type": "divider", "block_id": "x" * 256},
    "a picture without words": {"type": "image", "image_url": "https://example.org/x.png"},
}


def test_what_is_allowed_passes():
    assert check(GOOD).errors == []


@pytest.mark.parametrize("name", BAD)
def test_what_is_not_allowed_is_told_with_its_place(name):
    errors = check([BAD[name]]).errors
    assert errors
    assert all("[json-pointer:/blocks" in error for error in errors)


def test_block_ids_are_unique_and_blocks_at_most_fifty():
    assert check([{"type": "divider", "block_id": "a"}] * 2).errors
    assert not check([{"type": "divider"}] * 50).errors
    assert check([{"type": "divider"}] * 51).errors


def test_one_action_may_stand_in_two_blocks():
    assert not check([{"type": "actions", "elements": [button()]}] * 2).errors


def test_the_web_api_answers_with_slacks_names():
    with team() as slack:
        web = client(slack)
        with pytest.raises(SlackApiError) as refused:
            web.chat_postMessage(channel=RELEASES, text="x", blocks=[section(text=marked("x" * 3001))])
        assert refused.value.response["error"] == "invalid_blocks"
        assert refused.value.response["errors"] == [
            "must be less than 3001 characters [json-pointer:/blocks/0/text/text]"
        ]
        many = [section(text=marked("x" * 2900))] * 5
        assert refusal(lambda: web.chat_postMessage(channel=RELEASES, text="x", blocks=many)) == "msg_blocks_too_long"
        small = [section(text=marked("x" * 250))] * 50
        assert refusal(lambda: web.chat_postMessage(channel=RELEASES, text="x", blocks=small)) == "msg_blocks_too_long"
        assert web.chat_postMessage(channel=RELEASES, text="x", blocks=many[:4])["ok"]
        assert slack.posted(RELEASES)[0].blocks[0]["block_id"]
