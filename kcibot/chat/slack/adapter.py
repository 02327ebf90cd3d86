"""The Slack chat network: a `ChatAdapter` over Socket Mode and the Web API.

The pieces: `follow` is one connection from greeting to end, over `socket_mode` and `frames`; `ear` takes what arrives,
and `missed` what did not; `heard` and `text` read what people wrote, `people` and `votes` ask who did; `posts` speaks,
by `render` and `mrkdwn`, with `files` below and `rooms` that may be closed; `answers` is said aside; `web` makes the
calls, `errors` says what became of them. Slack's libraries are imported on the connection's own thread, so that the bot
does not wait for them.
"""

import logging
import random
import threading
import time
from collections.abc import Callable

from kcibot.chat.slack.answers import Answers
from kcibot.chat.slack.buttons import Offers
from kcibot.chat.slack.ear import Ear
from kcibot.chat.slack.errors import RateLimitedError
from kcibot.chat.slack.follow import Follower
from kcibot.chat.slack.heard import Us
from kcibot.chat.slack.people import Directory
from kcibot.chat.slack.posts import Posts
from kcibot.chat.slack.rooms import Rooms
from kcibot.chat.slack.settings import SlackSettings
from kcibot.chat.slack.votes import standing
from kcibot.chat.slack.web import SlackWeb
from kcibot.core.message import MessageRef, Place
from kcibot.core.notice import Notice
from kcibot.core.ports import Listener, Reaction
from kcibot.errors import KcibotError, PermanentError

log = logging.getLogger(__name__)

FIRST_WAIT_SECONDS = 0.3
LONGEST_WAIT_SECONDS = 60.0
STEADY_SECONDS = 30.0
STOP_SECONDS = 5.0


class SlackChat:
    """`mention` gives the Slack user id of a configured person, empty if there is none."""

    def __init__(self, settings: SlackSettings, mention: Callable[[str], str]) -> None:
        self.network = settings.network
        self._settings = settings
        self._us = Us("", "", "", settings.name)
        self._web = SlackWeb(settings)
        self._people = Directory(self._web)
        self._offers = Offers(self._web, self._who_we_are)
        self._rooms = Rooms(self._web, settings.channels)
        self._posts = Posts(self._web, settings, mention, self._offers, self._who_we_are, self._rooms)
        self._follower: Follower | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._asking = threading.Lock()

    @property
    def connected(self) -> bool:
        """Whether Slack has greeted the connection that is open, and answers its pings."""
        return self._follower is not None and self._follower.connected

    def start(self, listener: Listener) -> None:
        """Connect, and stay connected, on a thread of its own. What is wrong with a token is logged there."""
        self._stopping = stopping = threading.Event()
        changed = threading.Event()
        answers = Answers(self._web, self._settings, changed.set)
        ear = Ear(self._settings, self._who_we_are, self._people, self._offers, answers, self._rooms, listener)
        self._follower = follower = Follower(self._web, self._settings, ear, answers, listener, stopping, changed)
        self._thread = threading.Thread(
            target=self._stay_connected, args=(follower, stopping), name=f"{self.network}-connection", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop listening; no event is delivered after this returns, unless the inbox hangs. What is said still goes."""
        self._stopping.set()
        if self._follower:
            self._follower.close()
        if self._thread and self._thread is not threading.current_thread():
            self._thread.join(STOP_SECONDS)

    def post(self, place: Place, notice: Notice, key: str, thread: MessageRef | None = None) -> MessageRef:
        """Prompts, alerts and errors are in the channel itself, all else below `thread` if there is one."""
        self._check(place.network)
        return self._posts.post(place, notice, key, thread)

    def edit(self, ref: MessageRef, notice: Notice) -> None:
        """Raises NotFound if there is no such message, as is so for what was whispered."""
        self._check(ref.network)
        self._posts.edit(ref, notice)

    def find(self, place: Place, key: str) -> MessageRef | None:
        self._check(place.network)
        self._who_we_are()
        return self._posts.find(place, key)

    def reactions(self, ref: MessageRef) -> tuple[Reaction, ...] | None:
        """Raises if Slack does not tell all of them: a missing one would look like a vote taken back."""
        self._check(ref.network)
        return standing(self._web, self._people, self._who_we_are(), ref)

    def _check(self, network: str) -> None:
        if network != self.network:
            raise PermanentError(f"{network} is not the chat network {self.network}.")

    def _who_we_are(self) -> Us:
        with self._asking:
            if not self._us.user:
                self._us = self._asked()
            return self._us

    def _asked(self) -> Us:
        """Asked by ourselves: Bolt takes every failure of this for an invalid token."""
        answer = self._web.look("auth.test")
        user, bot, team = (str(answer.get(name) or "") for name in ("user_id", "bot_id", "team_id"))
        if not user:
            raise PermanentError("Slack does not say who the bot is (auth.test without a user).")
        return Us(user, bot, team, self._settings.name)

    # ---- the connection ----------------------------------------------------------------------------------------

    def _stay_connected(self, follower: Follower, stopping: threading.Event) -> None:
        wait = FIRST_WAIT_SECONDS
        while not stopping.is_set():
            began, least = time.monotonic(), 0.0
            try:
                us = self._asked()
                with self._asking:
                    self._us = us
                follower.follow(us)
            except KcibotError as error:
                log.warning("%s: not connected: %s", self.network, error)
                least = error.seconds if isinstance(error, RateLimitedError) else 0.0
            except Exception:  # a mistake must not make the bot deaf for good
                log.exception("%s: the connection failed unexpectedly", self.network)
            if time.monotonic() - began > STEADY_SECONDS:
                wait = FIRST_WAIT_SECONDS
            stopping.wait(max(least, wait * random.uniform(0.5, 1.0)))  # noqa: S311 (only spreads the load)
            wait = min(wait * 2, LONGEST_WAIT_SECONDS)
