"""Notices on Slack: Block Kit that Slack takes, in which nothing of what people wrote is more than text.

Limits from https://docs.slack.dev/reference/block-kit/blocks (50 blocks a message; header-block: 150; section-block:
text 3000, 10 fields of 2000; context-block: 10 elements; actions-block: 25 elements),
https://docs.slack.dev/reference/block-kit/block-elements/button-element (text 75, value 2000, action_id 255, unique in
its block), https://docs.slack.dev/reference/methods/chat.postMessage (text 40,000). About 13,200 over all blocks, with
their containers: https://github.com/slackapi/bolt-js/issues/2509 and /2867.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kcibot.chat.slack.render import SlackMessage, blocks
from kcibot.chat.slack.text import unescape
from kcibot.core.notice import Button, Field, Level, Notice, Progress
from kcibot.sandbox.slack.blocks import check
from tests.fakes.any_notices import NOTICES, TEXTS
from tests.fakes.real_notices import ALL, FACTS
from tests.fakes.snapshots import SLACK_IDS, on_slack

KNOWN = re.compile(r"<@U0000000(?:OP|M1)>|<https?://[^<>|\s]+>")


def shown(notice: Notice) -> SlackMessage:
    return blocks(notice, on_slack)


def length(text: str) -> int:
    """The longest that Slack could find it: an emoji counts as two."""
    return len(text.encode("utf-16-le")) // 2


def texts(value: Any) -> Iterator[dict[str, Any]]:
    """Every text object in it."""
    if isinstance(value, dict):
        if value.get("type") in {"mrkdwn", "plain_text"}:
            yield value
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from texts(one)


def said(message: SlackMessage) -> str:
    return "\n".join(text["text"] for text in texts(message.blocks))


def letters(*some: str) -> str:
    return "".join(char for char in "".join(some) if char.isalnum())


def within_limits(message: SlackMessage) -> None:
    assert 1 <= len(message.blocks) <= 50
    assert 1 <= length(message.text) <= 4000
    assert length(json.dumps(message.blocks, ensure_ascii=False)) <= 13_200
    assert json.loads(json.dumps(message.blocks)) == message.blocks
    json.dumps(message.blocks, ensure_ascii=False).encode()
    for block in message.blocks:
        _within(block)
    assert not check(message.blocks).errors


def _within(block: dict[str, Any]) -> None:
    match block["type"]:
        case "header":
            assert 1 <= length(block["text"]["text"]) <= 150
        case "section":
            assert all(1 <= length(text["text"]) <= 3000 for text in texts(block.get("text")))
            assert 1 <= len(block.get("fields", "1")) <= 10
            assert all(1 <= length(text["text"]) <= 2000 for text in texts(block.get("fields")))
        case "context":
            assert len(block["elements"]) == 1
            assert 1 <= length(block["elements"][0]["text"]) <= 3000
        case "actions":
            _within_actions(block["elements"])
        case kind:
            pytest.fail(f"{kind} is not used")


def _within_actions(buttons: list[dict[str, Any]]) -> None:
    assert 1 <= len(buttons) <= 25
    assert len({button["action_id"] for button in buttons}) == len(buttons)
    for button in buttons:
        assert 1 <= length(button["text"]["text"]) <= 75
        assert 1 <= length(button["value"]) <= 2000
        assert length(button["action_id"]) <= 255


def only_our_brackets(message: SlackMessage) -> None:
    """What is in brackets is a mention of ours, or a link whose address is what is shown."""
    for text in (message.text, *(text["text"] for text in texts(message.blocks))):
        assert not set("<>") & set(KNOWN.sub("", text))
        assert not re.search("&(?!amp;|lt;|gt;)", text)
    assert all(text["verbatim"] for text in texts(message.blocks) if text["type"] == "mrkdwn")


# ---- limits ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(ALL))
def test_every_real_notice_is_within_the_limits(name: str) -> None:
    within_limits(shown(ALL[name]))
    only_our_brackets(shown(ALL[name]))


@settings(max_examples=60, deadline=None)
@given(NOTICES)
def test_whatever_a_notice_holds_slack_takes_it_and_nobody_is_called_by_it(notice: Notice) -> None:
    message = shown(notice)
    within_limits(message)
    only_our_brackets(message)
    assert all(char.isprintable() or char in "\n\u200b" for char in said(message))
    assert all(line.isprintable() for line in message.rest.splitlines())


@pytest.mark.parametrize("line", ["x", "& " * 300, '"\\' * 200, "👩 " * 300, "a  b", "`` ` ```  `"])
def test_ten_thousand_lines_are_cut_and_the_whole_is_in_the_rest(line: str) -> None:
    message = shown(Notice("Log", lines=(line,) * 10_000))
    within_limits(message)
    (left,) = re.findall(r"… (\d+) more lines, in the file", said(message))
    assert message.rest.count(line.rstrip()) == 10_000
    assert 0 < int(left) < 10_000


def test_a_line_that_is_cut_is_whole_in_the_rest() -> None:
    message = shown(Notice("Log", lines=("x" * 10_000,)))
    assert "xxx…\n… whole in the file" in said(message)
    assert "x" * 10_000 in message.rest


def test_a_title_that_is_cut_is_whole_in_the_rest() -> None:
    message = shown(Notice("t" * 5000, Level.PROMPT))
    within_limits(message)
    assert "t" * 5000 in message.rest


def test_what_is_shown_whole_needs_no_file() -> None:
    assert [name for name, notice in ALL.items() if shown(notice).rest] == ["log"]


@settings(max_examples=60, deadline=None)
@given(st.lists(TEXTS, max_size=30).map(tuple), st.sampled_from(Level))
def test_no_word_of_a_notice_is_lost(told: tuple[str, ...], level: Level) -> None:
    message = shown(Notice("Title", level, told))
    assert letters(*told) in letters(message.rest or unescape(said(message)))


# ---- how it looks ------------------------------------------------------------------------------------------------


def test_a_card_of_38_steps_shows_all_of_them() -> None:
    card = ALL["card"]
    message = shown(card)
    assert message.blocks[0]["type"] == "header"
    assert all(line.replace("'", "'") in said(message) for line in card.lines)
    assert message.blocks[-1] == {
        "type": "context",
        "elements": [{"type": "mrkdwn", "text": "[#####...............] 10/38 steps", "verbatim": True}],
    }


def test_a_prompt_shows_all_facts_calls_whom_slack_knows_and_has_two_buttons() -> None:
    message = shown(ALL["prompt"])
    assert f"<@{SLACK_IDS['manager-1']}>" in message.text
    assert f"<@{SLACK_IDS['manager-1']}>" in said(message)
    approve, reject = message.blocks[-1]["elements"]
    code = ALL["prompt"].fields[0].value
    assert (approve["value"], approve["style"]) == (f"!approve {code}", "primary")
    assert (reject["value"], reject["style"]) == (f"!reject {code}", "danger")
    assert "4 images from 9f9dfb1c88" in said(message)
    assert all(block["expand"] for block in message.blocks if FACTS[2] in str(block))


def test_a_prompt_of_forty_steps_is_not_cut_for_the_number_of_its_parts() -> None:
    facts = tuple(line for n in range(40) for line in (f"For “step {n}”:", f"  fact of {n}"))
    message = shown(Notice("Go", Level.PROMPT, facts))
    assert all(line in said(message) for line in facts)
    assert message.rest == ""


def test_the_id_of_a_button_is_that_of_its_command() -> None:
    one = shown(Notice("a", buttons=(Button("Yes", "!yes"), Button("No", "!no"), Button("Yes!", "!yes"))))
    other = shown(Notice("b", lines=("c",), buttons=(Button("Yes", "!yes"),)))
    buttons = one.blocks[-1]["elements"]
    assert [button["text"]["text"] for button in buttons] == ["Yes", "No"]
    assert buttons[0]["action_id"] == other.blocks[-1]["elements"][0]["action_id"]
    assert "style" not in buttons[0]


def test_a_command_that_is_too_long_for_a_button_is_said_and_never_cut() -> None:
    command = "!note " + "x" * 2500
    message = shown(Notice("a", buttons=(Button("Note", command),)))
    assert message.blocks[-1]["type"] != "actions"
    assert command in message.rest


def test_few_short_fields_stand_in_columns_and_others_are_lines() -> None:
    short = tuple(Field(f"name {n}", "value") for n in range(12))
    assert [len(block["fields"]) for block in shown(Notice("t", fields=short)).blocks[1:]] == [10, 2]
    long = shown(Notice("t", fields=(Field("name", "word " * 1000),)))
    assert "name: word" in said(long)
    within_limits(long)


def test_columns_what_is_indented_and_differences_are_set_as_code() -> None:
    diff = ("--- a/x", "+++ b/x", "@@ -1 +1 @@", "-a", "+b")
    message = shown(Notice("t", lines=("text", "  $ make", "text", "a  b", "text", *diff)))
    assert message.blocks[1]["text"]["text"] == "\n".join(
        ("text", "```\n  $ make\n```", "text", "```\na  b\n```", "text", "```", *diff, "```")
    )


def test_code_cannot_end_its_block() -> None:
    message = shown(Notice("t", lines=("  ```` <!here>",)))
    fenced = message.blocks[1]["text"]["text"]
    assert fenced.count("```") == 2
    assert fenced.endswith("&lt;!here&gt;\n```")


@pytest.mark.parametrize(
    ("line", "shown_as"),
    [
        ("all *bold* now", "all *\u200bbold* now"),
        ("glob *.yaml", "glob *.yaml"),
        ("foo_bar_baz", "foo_bar_baz"),
        (":x: at 10:00:05", ":\u200bx: at 10:00:05"),
        ("> quote", "\u200b&gt; quote"),
        ("see https://example.org/a_b?c=1&d=2.", "see <https://example.org/a_b?c=1&amp;d=2>."),
        ("a <!channel> & <@U0000000M1>", "a &lt;!channel&gt; &amp; &lt;@U0000000M1&gt;"),
    ],
)
def test_what_people_wrote_is_shown_as_they_wrote_it(line: str, shown_as: str) -> None:
    assert shown(Notice("t", lines=(line,))).blocks[1]["text"]["text"] == shown_as


def test_an_identity_that_is_no_user_id_calls_nobody() -> None:
    message = blocks(Notice("t", Level.ALERT, mentions=("a", "b")), lambda _: "!channel")
    assert "channel" not in message.text + said(message)


def test_progress_of_an_unknown_total_is_a_count() -> None:
    assert "5 builds" in said(shown(Notice("t", progress=Progress(5, 0, "builds"))))


def test_a_picture_is_told_in_a_line() -> None:
    assert "Burn-down: 13 █" in said(shown(ALL["alert"]))
