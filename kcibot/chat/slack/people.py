"""Who a user id is: whether Slack vouches for it, and how to address them."""

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kcibot.chat.slack.web import SlackWeb
from kcibot.errors import KcibotError

log = logging.getLogger(__name__)

KNOWN_SECONDS = 600.0
UNKNOWN_SECONDS = 30.0
MOST = 5000


@dataclass(frozen=True, slots=True)
class Account:
    """As in `Incoming`: `identity` is empty where Slack does not vouch for the one who acted."""

    identity: str
    nick: str


class Directory:
    """Asks Slack about a person at most every ten minutes.

    The identity is the user id: guests, bots and people of connected workspaces have one too, and authority only if
    the configuration names it. It is not vouched for where the account was switched off, or where the event comes
    from another workspace than the one in which we know that id: ids are unique only together with their workspace.
    If Slack cannot be asked, those of our own workspace are whom the event names, and others are nobody.
    """

    def __init__(self, web: SlackWeb) -> None:
        self._web = web
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, Mapping[str, Any] | None]] = {}

    def who(self, user: str, team: str, own_team: str) -> Account:
        """`team` is the workspace that the event names for them, empty if none."""
        found = self._asked(user)
        if found is None:
            return Account(user if team in {"", own_team} else "", user)
        nick = _name(found) or user
        home = str(found.get("team_id") or "")
        if found.get("deleted") or team not in {"", own_team, home}:
            log.warning("%s acted for the workspace %s, and is not vouched for", user, team or "(none)")
            return Account("", nick)
        return Account(user, nick)

    def _asked(self, user: str) -> Mapping[str, Any] | None:
        now = time.monotonic()
        with self._lock:
            until, found = self._known.get(user, (0.0, None))
        if now < until:
            return found
        try:
            answer = self._web.glance("users.info", user=user).get("user")
            found, seconds = (answer if isinstance(answer, dict) else None), KNOWN_SECONDS
        except KcibotError as error:
            log.warning("the Slack user %s could not be looked up: %s", user, error)
            seconds = UNKNOWN_SECONDS  # what was known before is as good as it gets
        with self._lock:
            self._known.pop(user, None)
            self._known[user] = (time.monotonic() + seconds, found)
            if len(self._known) > MOST:
                self._known.pop(next(iter(self._known)))
        return found


def _name(found: Mapping[str, Any]) -> str:
    profile = found.get("profile")
    display = profile.get("display_name") if isinstance(profile, dict) else ""
    return str(display or found.get("name") or "").strip()
