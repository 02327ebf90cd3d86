"""One whole bot on a Slack stand-in and on a scripted IRC server at once, with a toy release of two gates."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

from kcibot.core.gate import Vote
from kcibot.core.run import RunState
from kcibot.sandbox.irc.network import IrcNetwork
from kcibot.sandbox.slack import Message, Pace, SlackStandIn
from tests.fakes.irc_bot import CONFIG, NOWHERE, Life, running_bot
from tests.fakes.irc_server import Client, IrcServer, until
from tests.fakes.slack_bot import OUR_APP
from tests.fakes.slack_people import ELSEWHERE, MANAGER, OBSERVER, OPERATOR, RELEASES, team
from tests.servers.inspircd import BOT, password

SECOND = "U0MAN2"
USERS = {"operator": OPERATOR, "manager-1": MANAGER, "manager-2": SECOND, "observer": OBSERVER}
CHANNEL = "#kernelci"
THUMB = "\N{THUMBS UP SIGN}"
PACE = Pace(acknowledge=3.0, retries=(0.0, 0.5, 0.5), ping=1.0)
CHAT = Template("""\
chat:
  irc: {${irc}}
  slack: {bot_token: {file: slack-bot}, app_token: {file: slack-app}, api: "${api}"}
  rooms: ["irc:#kernelci", "slack:${channel}"]
  relay: {${relay}}
""")

SCRIPTED = Template("server: 127.0.0.1, port: ${port}, security: none, rate: 1000, burst: 1000, timeout: 5s, ping: 5s")
REAL = Template(
    'server: localhost, port: ${port}, ca_file: "${ca_file}", nick: kcibot, rate: 50, burst: 20, timeout: 5s, ping: 5s'
    ", sasl: {account: kcibot, password: {file: irc-password}}"
)


@dataclass(frozen=True)
class Line:
    """What the bot said, and the id under which the server showed it."""

    target: str
    text: str
    msgid: str


@dataclass
class IrcRoom(IrcServer):
    """Remembers what the bot said with the ids of the lines, and plays persons."""

    said: list[Line] = field(default_factory=list)
    inside: list[Client] = field(default_factory=list)

    def on_who(self, client: Client, line: str, tags: str) -> None:
        """The last thing that the bot asks when it comes in."""
        super().on_who(client, line, tags)
        self.inside.append(client)

    def on_privmsg(self, client: Client, line: str, tags: str) -> None:
        super().on_privmsg(client, line, tags)
        _, target, text = line.split(" ", 2)
        self.said.append(Line(target, text.removeprefix(":"), f"id{self._number}"))

    on_notice = on_privmsg

    @property
    def is_open(self) -> bool:
        return self._socket is not None

    @property
    def bot(self) -> Client:
        """The newest connection, once the bot is in the channel."""
        until(lambda: bool(self.clients) and self.clients[-1] in self.inside, lambda: "no bot on IRC")
        return self.clients[-1]

    def say(self, nick: str, text: str, account: str | None = None, channel: str = CHANNEL) -> None:
        """Of somebody whose account is called as their nick, unless it is said; "" is somebody without one."""
        self.bot.send(f"{self._tags(nick, account)} :{nick}!u@h PRIVMSG {channel} :{text}")

    def mark(self, nick: str, msgid: str, *, account: str | None = None, taken_back: bool = False) -> None:
        tag = f"+draft/{'unreact' if taken_back else 'react'}={THUMB};+draft/reply={msgid}"
        self.bot.send(f"{self._tags(nick, account)};{tag} :{nick}!u@h TAGMSG {CHANNEL}")

    def join(self, nick: str, account: str | None = None) -> None:
        """They are in the channel, where the bot sees them."""
        self.bot.send(f":{nick}!u@h JOIN {CHANNEL} {(nick if account is None else account) or '*'} :somebody")

    def _tags(self, nick: str, account: str | None) -> str:
        known_as = nick if account is None else account
        vouched = f";account={known_as}" if known_as else ""
        return f"@msgid={self.next_id()}{vouched}"

    def hear(self, words: str, after: int = 0) -> Line:
        """The first line of the bot with these words, of those after so many."""
        until(lambda: bool(self.heard(words, after)), lambda: f"no {words!r} in {[one.text for one in self.said]}")
        return self.heard(words, after)[0]

    def heard(self, words: str, after: int = 0) -> list[Line]:
        return [one for one in self.said[after:] if words in one.text]

    def prompt(self, words: str = "Push it") -> Line:
        """The line that asks for votes, with the code to answer with."""
        return self.hear("!approve ", self.said.index(self.hear(words)))


@dataclass
class Both:
    """Two networks, and the folder of the bot that is on both."""

    slack: SlackStandIn
    irc: IrcRoom
    folder: Path
    relay: str = ""
    more: str = ""

    @property
    def config(self) -> str:
        return config_of(SCRIPTED.substitute(port=self.irc.port), self.slack, self.relay, self.more)

    @contextmanager
    def bot(self) -> Iterator[Life]:
        """One life of it, from the moment at which it is on every network that is there."""
        keep_tokens(self.slack, self.folder)
        lives = len(self.irc.clients)
        with running_bot(self.folder, self.config) as life:
            if self.irc.is_open:
                until(lambda: len(self.irc.clients) > lives, lambda: "no bot on IRC")
                assert self.irc.bot
            until(lambda: self.slack.connections > 0, lambda: "no bot on Slack")
            yield life

    def asked(self, words: str) -> Message:
        return asked(self.slack, words)

    def told(self, words: str) -> list[Message]:
        """The bot's messages on Slack with these words in them."""
        return [one for one in self.slack.posted(RELEASES) if words in one.text + str(one.blocks)]

    def tell(self, words: str) -> Message:
        until(lambda: bool(self.told(words)), lambda: f"no {words!r} in {self.slack.posted(RELEASES)}")
        return self.told(words)[0]

    def code(self) -> str:
        """With which the newest question on IRC is answered in words."""
        found = re.search(r"!approve (\w+)", self.irc.heard("!approve ")[-1].text)
        assert found
        return found[1]


def asked(slack: SlackStandIn, words: str) -> Message:
    """The prompt on Slack with these words in it."""

    def prompts() -> list[Message]:
        return [one for one in slack.posted(RELEASES) if words in str(one.blocks) and button(one)]

    until(lambda: bool(prompts()), lambda: f"no prompt {words!r} on Slack")
    return prompts()[0]


def button(message: Message) -> str:
    """The id of the button with which the message is approved."""
    return next((one["action_id"] for one in message.buttons() if one["value"].startswith("!approve")), "")


def votes(life: Life) -> Sequence[Vote]:
    """Those that were cast on the first question and stand."""
    journal = life.bot.world.journal
    return [vote for vote in journal.votes(journal.asks(1)[0]) if not vote.withdrawn] if journal.asks(1) else []


def config_of(irc: str, slack: SlackStandIn, relay: str = "", more: str = "") -> str:
    """The configuration of a bot on both networks."""
    text = CONFIG.substitute(server="x", port=1, bot="kcibot", more="", rate=1, burst=1, timeout="5s", nowhere=NOWHERE)
    head, _, rest = text.partition("chat:\n")
    rest = rest[rest.index("people:") :]
    for person, user in USERS.items():
        rest = rest.replace(f"{{irc: {person}}}", f"{{irc: {person}, slack: {user}}}")
    head = head.replace("tick: 100ms", f"tick: 100ms{more}")
    return head + CHAT.substitute(irc=irc, api=slack.api, channel=RELEASES, relay=relay) + rest


def keep_tokens(slack: SlackStandIn, folder: Path) -> None:
    keep(folder / "slack-bot", slack.app.bot_token)
    keep(folder / "slack-app", slack.app.app_token)


def keep(file: Path, secret: str) -> None:
    file.write_text(secret)
    file.chmod(0o600)


@contextmanager
def bot_on_both(network: IrcNetwork, slack: SlackStandIn, folder: Path) -> Iterator[Life]:
    """On a real IRC network, with TLS and an account, and on Slack."""
    keep_tokens(slack, folder)
    keep(folder / "irc-password", password(BOT))
    irc = REAL.substitute(port=network.tls_port, ca_file=network.ca_file)
    with running_bot(folder, config_of(irc, slack)) as life:
        until(lambda: slack.connections > 0, lambda: "no bot on Slack")
        yield life


@contextmanager
def slack_team() -> Iterator[SlackStandIn]:
    """With everybody in the channel of the releases, and the bot in another one, too, that it does not serve."""
    with team(PACE, OUR_APP) as slack:
        slack.add_person(SECOND, "man2")
        slack.workspace.channel(RELEASES).members.add(SECOND)
        slack.workspace.channel(ELSEWHERE).members.add(slack.app.user)
        yield slack


def started(rooms: Both) -> None:
    """A release that waits for two votes."""
    rooms.irc.say("operator", "!toy start")
    rooms.irc.prompt()
    rooms.asked("Push it")


def caught_up(rooms: Both) -> None:
    """Both networks were answered once more: what was said there before has had its effect."""
    word = f"behind-{len(rooms.irc.said)}"
    rooms.irc.say("manager-2", f"!ping {word}")
    rooms.irc.hear(f"pong {word}")
    rooms.slack.say(OBSERVER, RELEASES, f"!ping {word}")
    rooms.tell(f"pong {word}")


def nothing_began(rooms: Both, life: Life) -> None:
    """Neither before nor until after both networks have answered once more."""
    caught_up(rooms)
    assert life.bot.world.journal.open_runs() == ()


def still_waits(rooms: Both, life: Life) -> None:
    """Nobody's vote was counted."""
    caught_up(rooms)
    assert votes(life) == []
    assert (life.run.state, life.target.effects) == (RunState.WAITING, 0)


@contextmanager
def both(folder: Path, relay: str = "", more: str = "") -> Iterator[Both]:
    """`relay` and `more` are what the configuration says for chat.relay, and beside the tick of the bot."""
    with slack_team() as slack:
        irc = IrcRoom()
        irc.start()
        try:
            yield Both(slack, irc, folder, relay, more)
        finally:
            irc.stop()
