"""Block Kit as Slack checks it: what a block may hold, and how long it may be.

Published ("Reference: blocks", "Reference: block elements", "Composition objects"): the fields, 50 blocks, header 150,
section text 3000, ten fields of 2000, 25 elements of an actions block, 10 of a context block, button text 75, value
2000, url 3000, ids 255, alt text 2000, markdown 12,000 together. The form of the messages ("must be less than 3001
characters [json-pointer:/blocks/0/text/text]") is seen in public reports. Not published: the limit over all blocks.
Slack's people named "12,000 text characters with a buffer for block containers", users saw 13,297 for one markdown
block and 125 less with a divider beside it, and 11,341 of text refused in many containers (bolt-js issues 2509 and
2867); here it is 13,200 characters of the blocks' JSON, ids included. Block types and elements that the bot does not
use (tables, menus, pickers, input, video, ...) are refused here though Slack knows them.
"""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

MOST_BLOCKS = 50
MOST_CHARACTERS = 13_200
MOST_MARKDOWN = 12_000
ID_ROOM = 20  # of a block id that Slack gives
SECTION, HEADER, FIELD, CONTEXT = 3000, 150, 2000, 3000
MOST_FIELDS, MOST_ACTIONS, MOST_CONTEXT = 10, 25, 10
BUTTON, VALUE, URL, ID, ALT = 75, 2000, 3000, 255, 2000
CONFIRM_TITLE, CONFIRM_TEXT, CONFIRM_BUTTON = 100, 300, 30


@dataclass(slots=True)
class Report:
    """What is wrong, in Slack's words, and how much there was: `characters` of JSON, `markdown` of text."""

    errors: list[str] = field(default_factory=list)
    characters: int = 0
    markdown: int = 0
    block_ids: list[str] = field(default_factory=list)
    action_ids: list[tuple[str, str]] = field(default_factory=list)

    def wrong(self, what: str, at: str) -> None:
        self.errors.append(f"{what} [json-pointer:{at}]")


Rule = Callable[[Any, str, Report], None]


def check(blocks: Any) -> Report:
    """The report of a message's blocks; it is fine when there are no `errors` and the text is not too long."""
    report = Report()
    if not isinstance(blocks, list):
        report.wrong("must be an array", "/blocks")
        return report
    if len(blocks) > MOST_BLOCKS:
        report.wrong(f"no more than {MOST_BLOCKS} items allowed", "/blocks")
    for number, block in enumerate(blocks):
        _of_type(BLOCKS)(block, f"/blocks/{number}", report)
    _unique(report.block_ids, "block_id", report)
    _unique(report.action_ids, "action_id", report)
    if report.markdown > MOST_MARKDOWN:
        report.wrong(f"no more than {MOST_MARKDOWN} characters of markdown allowed", "/blocks")
    report.characters = len(json.dumps(blocks, ensure_ascii=False, separators=(",", ":"))) + ID_ROOM * len(blocks)
    return report


def _unique(ids: Collection[Any], what: str, report: Report) -> None:
    if len(set(ids)) < len(ids):
        report.wrong(f"`{what}` must be unique", "/blocks")


def _string(most: int, least: int = 1) -> Rule:
    def rule(value: Any, at: str, report: Report) -> None:
        if not isinstance(value, str):
            report.wrong("must be a string", at)
        elif len(value) > most:
            report.wrong(f"must be less than {most + 1} characters", at)
        elif len(value) < least:
            report.wrong(f"must be more than {least - 1} characters", at)

    return rule


def _flag(value: Any, at: str, report: Report) -> None:
    if not isinstance(value, bool):
        report.wrong("must be a boolean", at)


def _one_of(*allowed: str) -> Rule:
    def rule(value: Any, at: str, report: Report) -> None:
        if value not in allowed:
            report.wrong(f"must be one of {', '.join(allowed)}", at)

    return rule


def _list_of(rule: Rule, most: int) -> Rule:
    def check_all(value: Any, at: str, report: Report) -> None:
        if not isinstance(value, list):
            report.wrong("must be an array", at)
            return
        if len(value) > most:
            report.wrong(f"no more than {most} items allowed", at)
        if not value:
            report.wrong("no fewer than 1 items allowed", at)
        for number, one in enumerate(value):
            rule(one, f"{at}/{number}", report)

    return check_all


def _object(required: Mapping[str, Rule], optional: Mapping[str, Rule]) -> Rule:
    def rule(value: Any, at: str, report: Report) -> None:
        if not isinstance(value, dict):
            report.wrong("must be an object", at)
            return
        for name in required.keys() - value.keys():
            report.wrong(f"missing required field: {name}", at)
        for name, one in value.items():
            known = required.get(name) or optional.get(name)
            if known is None:
                report.wrong(f"invalid additional property: {name}", at)
            else:
                known(one, f"{at}/{name}", report)

    return rule


def _of_type(types: Mapping[str, Rule]) -> Rule:
    def rule(value: Any, at: str, report: Report) -> None:
        kind = str(value.get("type")) if isinstance(value, dict) else ""
        if kind not in types:
            report.wrong(f"unsupported type: {kind}", f"{at}/type")
        else:
            types[kind](value, at, report)

    return rule


def _any(value: Any, at: str, report: Report) -> None:
    """Known elsewhere, as a `type` that chose the rule."""


def _markdown(value: Any, at: str, report: Report) -> None:
    _string(MOST_MARKDOWN)(value, at, report)
    report.markdown += len(value) if isinstance(value, str) else 0


def _text(most: int, *kinds: str) -> Rule:
    plain = _object({"type": _any, "text": _string(most)}, {"emoji": _flag})
    marked = _object({"type": _any, "text": _string(most)}, {"verbatim": _flag})
    every = {"plain_text": plain, "mrkdwn": marked}
    return _of_type({kind: every[kind] for kind in kinds or every})


def _block_id(value: Any, at: str, report: Report) -> None:
    _string(ID)(value, at, report)
    report.block_ids.append(str(value))


def _action_id(value: Any, at: str, report: Report) -> None:
    """Unique within its block (published)."""
    _string(ID)(value, at, report)
    report.action_ids.append(("/".join(at.split("/")[:3]), str(value)))


CONFIRM = _object(
    {"title": _text(CONFIRM_TITLE, "plain_text"), "text": _text(CONFIRM_TEXT)},
    {
        "confirm": _text(CONFIRM_BUTTON, "plain_text"),
        "deny": _text(CONFIRM_BUTTON, "plain_text"),
        "style": _one_of("primary", "danger"),
    },
)
ELEMENT_BUTTON = _object(
    {"type": _any, "text": _text(BUTTON, "plain_text")},
    {
        "action_id": _action_id,
        "value": _string(VALUE),
        "url": _string(URL),
        "style": _one_of("primary", "danger"),
        "confirm": CONFIRM,
        "accessibility_label": _string(BUTTON),
    },
)
ELEMENT_IMAGE = _object({"type": _any, "alt_text": _string(ALT)}, {"image_url": _string(URL)})
IN_CONTEXT = _of_type(
    {
        "plain_text": _text(CONTEXT, "plain_text"),
        "mrkdwn": _text(CONTEXT, "mrkdwn"),
        "image": ELEMENT_IMAGE,
    }
)
OPTIONAL: Mapping[str, Rule] = {"block_id": _block_id}


def _section(value: Any, at: str, report: Report) -> None:
    _object(
        {"type": _any},
        {
            **OPTIONAL,
            "text": _text(SECTION),
            "fields": _list_of(_text(FIELD), MOST_FIELDS),
            "accessory": _of_type({"button": ELEMENT_BUTTON, "image": ELEMENT_IMAGE}),
            "expand": _flag,
        },
    )(value, at, report)
    if not {"text", "fields"} & value.keys():
        report.wrong("missing required field: text", at)


BLOCKS: Mapping[str, Rule] = {
    "section": _section,
    "header": _object({"type": _any, "text": _text(HEADER, "plain_text")}, OPTIONAL),
    "divider": _object({"type": _any}, OPTIONAL),
    "context": _object({"type": _any, "elements": _list_of(IN_CONTEXT, MOST_CONTEXT)}, OPTIONAL),
    "actions": _object(
        {"type": _any, "elements": _list_of(_of_type({"button": ELEMENT_BUTTON}), MOST_ACTIONS)}, OPTIONAL
    ),
    "image": _object(
        {"type": _any, "alt_text": _string(ALT)},
        {**OPTIONAL, "image_url": _string(URL), "title": _text(ALT, "plain_text")},
    ),
    "markdown": _object({"type": _any, "text": _markdown}, OPTIONAL),
    "rich_text": _object({"type": _any, "elements": _list_of(_any, 1000)}, OPTIONAL),  # its outer form only
}
