"""The small release: two repositories, a mail server, a Jenkins, and four persons. It needs no command of KernelCI."""

import subprocess
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from kcibot.chat.room import Event, Room
from kcibot.sandbox.clock import SandboxClock
from kcibot.sandbox.jenkins import JenkinsStandIn, succeed_after
from kcibot.sandbox.mailbox import MailboxStandIn
from kcibot.sandbox.repositories.history import History
from tests.chaos.around import hook_repository, pushes, trap_mailbox, trap_server
from tests.chaos.persons import Cues, Speakers
from tests.chaos.points import Traps
from tests.chaos.scenario import World
from tests.chaos.small_steps import DEVELOPMENT, JOB, PARAMETER, PRODUCTION, REPOSITORIES

RATE, LATE_RATE = 60.0, 25.0
"""The slower one gives what is late the time to be late within the minute in which it may arrive."""
TOKEN = "11aabbccddeeff00112233445566778899"
DEFINITION = f"""<project><properties><hudson.model.ParametersDefinitionProperty><parameterDefinitions>
<hudson.model.StringParameterDefinition><name>{PARAMETER}</name><defaultValue/></hudson.model.StringParameterDefinition>
</parameterDefinitions></hudson.model.ParametersDefinitionProperty></properties><quietPeriod>0</quietPeriod></project>"""
"""Without a quiet period, in which Jenkins would take two equal requests for one."""

CONFIG = """\
bot: {{state: state, tick: 1s}}
chat:
  console: {{folder: room}}
  rooms: ["console:kernelci"]
people:
  operator: {{roles: [operator], identities: {{console: operator}}}}
  manager-1: {{roles: [release-manager], identities: {{console: manager-1}}}}
  manager-2: {{roles: [release-manager], identities: {{console: manager-2}}}}
  observer: {{roles: [observer], identities: {{console: observer}}}}
production_hours: {{days: [Mon, Tue, Wed, Thu, Fri, Sat, Sun], from: "00:00", to: "00:00"}}
services:
  jenkins: {{url: "{jenkins}", user: kcibot, token: {{file: token}}}}
  git:
    repositories: {{{repositories}}}
    author_name: kcibot
    author_email: kcibot@example.org
  images: {{engine: "{nowhere}", registry: "{nowhere}"}}
  mail: {{host: 127.0.0.1, port: {mail_port}, security: none, archive_url: "{archive}"}}
  results_api: {{url: "{nowhere}", token: {{file: token}}, versions: {{backend: "{nowhere}"}}}}
  storage: {{url: "{nowhere}"}}
"""


class SmallWorld:
    """Fulfils `scenario.World`."""

    def __init__(self, folder: Path, late_seconds: float = 0.0) -> None:
        self.folder = folder
        self._late = late_seconds
        self.clock = SandboxClock.create(folder / "clock.json", LATE_RATE if late_seconds else RATE)
        self.mailbox = MailboxStandIn()
        self.jenkins = JenkinsStandIn(self.clock, "kcibot", TOKEN, nodes=1, executors=4)
        self.repositories = {name: folder / "repositories" / f"{name}.git" for name in REPOSITORIES}
        self.old = {name: _make(path) for name, path in self.repositories.items()}
        self.new = {name: _head(path, DEVELOPMENT) for name, path in self.repositories.items()}

    def start(self, traps: Traps) -> None:
        for name, path in self.repositories.items():
            hook_repository(path, name, self.folder, self._late)
        trap_mailbox(self.mailbox, traps, self._late)
        trap_server(self.jenkins, "jenkins", traps, self._late)
        self.mailbox.start()
        self.jenkins.start()
        self.jenkins.create_job(JOB, DEFINITION, succeed_after(20.0))
        self._write_config()

    def stop(self) -> None:
        self.jenkins.stop()
        self.mailbox.stop()

    def violations(self) -> Sequence[str]:
        return [*self._wrong_pushes(), *self._wrong_mails(), *self._wrong_builds()]

    def _wrong_pushes(self) -> Iterator[str]:
        for name, path in self.repositories.items():
            got = sorted(pushes(path))
            branch = (f"refs/heads/{PRODUCTION}", self.old[name], self.new[name])
            if len(got) != 2 or got[0] != branch or not got[1][0].startswith("refs/tags/release-"):
                yield f"{name} was pushed to as {got}, instead of its branch and its tag once"

    def _wrong_mails(self) -> Iterator[str]:
        got = [mail.message_id for mail in self.mailbox.messages]
        if len(got) != 1:
            yield f"the list got the mails {got}, instead of one"

    def _wrong_builds(self) -> Iterator[str]:
        with self.jenkins.loop.lock:
            job = self.jenkins.world.jobs.find(JOB)
            runs = list(job.runs.values()) if job else []
            waiting = len(self.jenkins.world.queue.active)
        posts = [request for request in self.jenkins.requests if request.path.endswith("/buildWithParameters")]
        if len(runs) != 1 or waiting or len(posts) != 1:
            yield f"{len(runs)} builds of {JOB}, {waiting} waiting, after {len(posts)} requests"

    def _write_config(self) -> None:
        secret = self.folder / "token"
        secret.write_text(TOKEN)
        secret.chmod(0o600)
        text = CONFIG.format(
            jenkins=self.jenkins.url,
            repositories=", ".join(f'{name}: "{path}"' for name, path in self.repositories.items()),
            mail_port=self.mailbox.port,
            archive=self.mailbox.archive_url,
            nowhere="http://127.0.0.1:9",
        )
        (self.folder / "config.yaml").write_text(text)


class Small:
    """Fulfils `scenario.Scenario`. What a killed bot had sent arrives so many seconds late."""

    module = "tests.chaos.small_steps"
    patience_seconds = 30.0
    earlier = 0
    begins = ""

    def __init__(self, late_seconds: float = 0.0) -> None:
        self._late = late_seconds

    def world(self, folder: Path) -> SmallWorld:
        return SmallWorld(folder, self._late)

    def persons(self, world: World) -> Speakers:
        return Speakers({"go": ("manager-1",), "accept": ("manager-2",)}, ("operator", "!small start"), CUES)


def _hello(room: Room, event: Event) -> None:
    room.say("observer", "!small hello", event.channel)


CUES: Cues = {"run:#:card": _hello, "run:#:gate:accept:#": _hello, "run:#:report:#:done": _hello}
"""Somebody says something when a message appears, also while the release acts."""


def _make(path: Path) -> str:
    """A repository whose development branch is ahead; where its production branch is."""
    history = History(DEVELOPMENT)
    at = datetime(2019, 6, 3, 12, tzinfo=UTC)
    history.write("README", f"{path.stem}\n")
    history.branch(PRODUCTION, history.commit("Begin", at))
    history.write("README", f"{path.stem}, better\n")
    history.commit("Improve", at)
    path.parent.mkdir(exist_ok=True)
    history.make(path)
    return _head(path, PRODUCTION)


def _head(path: Path, branch: str) -> str:
    argv = ("git", "-C", str(path), "rev-parse", f"refs/heads/{branch}")
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()
