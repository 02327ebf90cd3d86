"""What every renderer makes of every notice of `real_notices`, kept in files that are read by people in reviews.

`python -m tests.fakes.snapshots`, in the folder of the project, writes them anew; the tests only compare.
"""

import json
from pathlib import Path

from kcibot.chat import console_render
from kcibot.chat.irc import render as irc_render
from kcibot.chat.slack import render as slack_render
from kcibot.core.notice import Notice
from tests.fakes.real_notices import ALL

FOLDER = Path(__file__).parent.parent / "unit" / "snapshots"
LONGEST = 8
WIDTH = 110
IRC_NAMES = {"operator": "op", "manager-1": "m1", "manager-2": "m2"}
SLACK_IDS = {"operator": "U0000000OP", "manager-1": "U0000000M1"}


def on_irc(person: str) -> str:
    return IRC_NAMES.get(person, "")


def on_slack(person: str) -> str:
    """One of the managers is not there."""
    return SLACK_IDS.get(person, "")


def irc(notice: Notice) -> str:
    """`^B` is where bold begins and ends; below the dashes, what `!more` shows."""
    text = irc_render.lines(notice, on_irc, LONGEST)
    return "\n".join((*text.lines, *(("----", *text.rest) if text.rest else ()), "")).replace("\x02", "^B")


def slack(notice: Notice) -> str:
    message = slack_render.blocks(notice, on_slack)
    shown = {"text": message.text, "blocks": message.blocks, "rest": _short(message.rest)}
    return json.dumps(shown, indent=1, ensure_ascii=False) + "\n"


def console(notice: Notice) -> str:
    return "\n".join((*console_render.render(notice, WIDTH), ""))


def _short(rest: str) -> list[str]:
    """The first and the last lines are enough."""
    told = rest.splitlines()
    return told if len(told) < LONGEST else [*told[:3], f"({len(told) - 6} lines)", *told[-3:]]


RENDERERS = {"irc.txt": irc, "slack.json": slack, "console.txt": console}


def made() -> dict[str, str]:
    """The content of every file, by its name."""
    return {f"{name}.{kind}": rendered(notice) for name, notice in ALL.items() for kind, rendered in RENDERERS.items()}


def kept() -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()}


def write() -> None:
    """Only what is made is left in the folder."""
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.iterdir():
        path.unlink()
    for name, content in made().items():
        (FOLDER / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    write()
