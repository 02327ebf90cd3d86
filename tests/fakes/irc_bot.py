"""A whole bot on an IRC network, with a toy release of two gates: every part of it is the real one."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template

from kcibot import config
from kcibot.app import Bot, registry
from kcibot.core.command import Outcome, command
from kcibot.core.dispatch import Call
from kcibot.core.procedure import Context, Gate, Procedure
from kcibot.core.redact import Redactor
from kcibot.core.registry import Registry
from kcibot.core.run import Run, RunState
from kcibot.sandbox.irc.network import IrcNetwork
from tests.fakes.toys import Target, push
from tests.servers.inspircd import BOT, password

NOWHERE = "http://127.0.0.1:9"

CONFIG = Template("""\
bot: {state: state, tick: 100ms}
chat:
  irc:
    server: ${server}
    port: ${port}
    nick: ${bot}
    ${more}
    rate: ${rate}
    burst: ${burst}
    timeout: ${timeout}
    ping: 5s
  rooms: ["irc:#kernelci"]
people:
  operator: {roles: [operator], identities: {irc: operator}}
  manager-1: {roles: [release-manager], identities: {irc: manager-1}}
  manager-2: {roles: [release-manager], identities: {irc: manager-2}}
  observer: {roles: [observer], identities: {irc: observer}}
production_hours: {days: [Mon, Tue, Wed, Thu, Fri, Sat, Sun], from: "00:00", to: "24:00"}
gates: {go: {quorum: 2}}
services:
  jenkins: {url: "${nowhere}", user: kcibot, token: {file: token}}
  git: {repositories: {core: "${nowhere}/core.git"}, author_name: kcibot, author_email: kcibot@example.org}
  images: {engine: "${nowhere}", registry: "${nowhere}"}
  mail: {host: 127.0.0.1, port: 9, security: none}
  results_api: {url: "${nowhere}", token: {file: token}, versions: {backend: "${nowhere}"}}
  storage: {url: "${nowhere}"}
""")


@dataclass
class Life:
    """A bot that runs, and the world in which its two steps have their one effect each."""

    bot: Bot
    target: Target
    folder: Path

    @property
    def run(self) -> Run:
        return self.bot.world.journal.run(1)

    def ends(self, seconds: float = 20.0) -> Run:
        """The release, once it has succeeded."""
        return self.reaches(RunState.SUCCEEDED, seconds)

    def reaches(self, state: RunState, seconds: float = 20.0) -> Run:
        deadline = time.monotonic() + seconds
        while (run := self.run).state is not state:
            assert time.monotonic() < deadline, run
            time.sleep(0.02)  # it is driven by threads of the bot
        return run


def commands(target: Target, before: Callable[[Context], object] = id) -> Registry:
    """All that the bot knows, and a toy release of two gates that `!toy start` starts."""
    found = registry()
    first, second = push(target, "push", "new", before), push(target, "deploy", "newer")
    toy = Procedure("toy", Gate("go", "Push it"), first, Gate("accept", "Deploy it"), second, title="Toy release")
    found.procedures[toy.name] = toy

    @command("toy start", role="operator")
    def start(call: Call) -> Outcome:
        """Start the toy release."""
        return call.start(toy)

    found.commands[start.name] = start
    return found


@contextmanager
def bot_on(
    network: IrcNetwork,
    folder: Path,
    rate: float = 50.0,
    burst: int = 20,
    timeout: str = "5s",
    before: Callable[[Context], object] = id,
    secret: str = password(BOT),
) -> Iterator[Life]:
    """With TLS and an account. `before` is called before the first step acts."""
    file = folder / "irc-password"
    file.write_text(secret)
    file.chmod(0o600)
    more = f'ca_file: "{network.ca_file}"\n    sasl: {{account: {BOT}, password: {{file: irc-password}}}}'
    text = _text(server="localhost", port=network.tls_port, more=more, rate=rate, burst=burst, timeout=timeout)
    with running_bot(folder, text, before) as life:
        yield life


@contextmanager
def bot_on_plain(port: int, folder: Path) -> Iterator[Life]:
    """Without either."""
    text = _text(server="127.0.0.1", port=port, more="security: none", rate=50.0, burst=20, timeout="5s")
    with running_bot(folder, text) as life:
        yield life


def _text(**values: object) -> str:
    return CONFIG.substitute(values, nowhere=NOWHERE, bot=BOT)


@contextmanager
def running_bot(folder: Path, text: str, before: Callable[[Context], object] = id) -> Iterator[Life]:
    token = folder / "token"
    token.write_text("11aabbccddeeff00112233445566778899")
    token.chmod(0o600)
    path = folder / "config.yaml"
    path.write_text(text)
    target = Target()
    known = commands(target, before)
    bot = Bot(config.load(path, known.sections), known, Redactor())
    bot.start()
    try:
        yield Life(bot, target, folder)
    finally:
        bot.stop()
