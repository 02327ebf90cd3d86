"""The reactions that stand under a message."""

from collections.abc import Iterator
from typing import Any

from kcibot.chat.slack.heard import Us
from kcibot.chat.slack.people import Directory
from kcibot.chat.slack.web import SlackWeb
from kcibot.core.message import MessageRef
from kcibot.core.ports import Reaction
from kcibot.core.reactions import choice_of
from kcibot.errors import NotFound, TransientError

LOOKED_UP = 50
"""More voters than that are taken by their ids alone; no gate has so many."""


def standing(web: SlackWeb, people: Directory, us: Us, ref: MessageRef) -> tuple[Reaction, ...] | None:
    """Everybody's but the bot's own; None if somebody deleted the message, with which Slack forgets them.

    Raises what the look raises, and TransientError if Slack does not tell all.
    """
    try:
        answer = web.look("reactions.get", channel=ref.channel, timestamp=ref.message_id, full=True)
    except NotFound:
        return None
    message = answer.get("message")
    found = message.get("reactions") if isinstance(message, dict) else None
    if not isinstance(message, dict) or not isinstance(found or [], list):
        raise TransientError("Slack's answer about reactions cannot be read.")
    return tuple(_each(found or [], people, us))


def _each(found: list[Any], people: Directory, us: Us) -> Iterator[Reaction]:
    looked_up = 0
    for one in found:
        name, users = _whole(one)
        for user in users:
            if user == us.user:
                continue
            is_vote = choice_of(name) is not None
            looked_up += is_vote
            if is_vote and looked_up <= LOOKED_UP:
                account = people.who(user, "", us.team)
                yield Reaction(account.identity, account.nick, name)
            else:
                yield Reaction(user, user, name)


def _whole(one: object) -> tuple[str, list[str]]:
    """Its name, and who; each vote of it has to be there."""
    match one:
        case {"name": str(name), "users": list(users), "count": int(count)}:
            if choice_of(name) is not None and count > len(set(map(str, users))):
                raise TransientError(f"Slack names only {len(users)} of {count} who reacted with {name}.")
            return name, [str(user) for user in users]
    raise TransientError("Slack's answer about reactions cannot be read.")
