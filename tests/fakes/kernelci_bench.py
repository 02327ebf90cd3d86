"""KernelCI in miniature under a bench: real Git, HTTP, mail and, if asked for, machines and Ansible behind the ports.

The repositories' history ends at the bench's own time, so that names of tags and versions are known beforehand.
"""

import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from kcibot import app
from kcibot.config import Config, load
from kcibot.config.models import Root
from kcibot.core.gate import GatePolicy
from kcibot.core.hours import Hours
from kcibot.core.ports import Ports
from kcibot.core.procedure import Context, Done, Procedure, Step
from kcibot.core.redact import Redactor
from kcibot.core.registry import Registry
from kcibot.core.run import Run
from kcibot.errors import OutcomeUnknown, PermanentError
from kcibot.sandbox.clock import SandboxClock
from kcibot.sandbox.config_text import config_text
from kcibot.sandbox.docker_engine.engine import DockerEngineStandIn
from kcibot.sandbox.kernelci.world import IMAGES
from kcibot.sandbox.mailbox import MailboxStandIn
from kcibot.sandbox.registry import RegistryStandIn
from kcibot.sandbox.repositories import create_repositories
from kcibot.sandbox.results_api import ResultsApiStandIn
from kcibot.sandbox.targets import BACKEND, FRONTEND, Targets
from kcibot.store.backup import backup
from kcibot_commands.announce import steps as announce
from kcibot_commands.deploy import steps as deploy
from kcibot_commands.images import verbs as images
from kcibot_commands.plan import steps as plan
from tests.fakes.bench import ROOM, Bench, HandClock, make_bench

T = TypeVar("T")

START = HandClock().at
"""When the history ends and every bench begins: Monday, 23 November 2026, 09:00 UTC."""
PRODUCTION = "kernelci.org"
SECRETS = {"jenkins-token": "11" + "0" * 30 + "ab", "api-token": "5e0b8f7a-0000-4000-8000-a91f0c3d2b61"}
NOWHERE = "http://127.0.0.1:9"
"""The address of services that no test here asks for anything."""
SECTIONS: tuple[type[object], ...] = (
    plan.ReleaseSettings,
    announce.AnnounceSettings,
    deploy.DeploySettings,
    images.ImagesSettings,
)


@dataclass
class Kernelci:
    """The running parts of the sandbox. `targets` is there only where the machines were asked for."""

    folder: Path
    repositories: Mapping[str, Path]
    mailbox: MailboxStandIn
    registry: RegistryStandIn
    engine: DockerEngineStandIn
    api: ResultsApiStandIn
    targets: Targets | None = None

    @cached_property
    def config(self) -> Config:
        """The sandbox's own configuration text, read as the bot reads it."""
        for name, value in SECRETS.items():
            secret = self.folder / "secrets" / name
            secret.parent.mkdir(mode=0o700, exist_ok=True)
            secret.write_text(value)
            secret.chmod(0o600)
        path = self.folder / "config.yaml"
        sections = {str(vars(kind)["section"]): kind for kind in SECTIONS}
        path.write_text(_without_others(self._text(), {*Root.model_fields, *sections}))
        return load(path, sections)

    def bench(
        self,
        *modules: ModuleType,
        procedures: Sequence[Procedure] = (),
        sections: Sequence[object] = (),
        policies: Mapping[str, GatePolicy] | None = None,
        hours: Hours | None = None,
        clock: HandClock | None = None,
        ports: Ports | None = None,
    ) -> Bench:
        """A life of the bot with these modules' verbs; made again on the same place, it is the next life.

        `sections` replace what is configured, by their type.
        """
        registry = Registry()
        for module in modules:
            registry.add(module)
        given = {type(section): section for section in sections}
        bench = make_bench(
            self.folder,
            *procedures,
            policies={**self.config.policies(), **(policies or {})},
            registry=registry,
            clock=clock,
            ports=ports or self.ports,
            sections={**self.config.sections, **given},
            hours=hours,
        )
        bench.events = len(list(self.folder.glob("life-*"))) * 1000
        (self.folder / f"life-{bench.events}").touch()
        return bench

    @cached_property
    def ports(self) -> Ports:
        return app.ports(self.config, Redactor())

    # ---- the repositories --------------------------------------------------------------------------------------

    def git(self, repository: str, *words: str, given: bytes = b"") -> str:
        """Ask git on the server itself."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        done = subprocess.run(
            ("git", "-C", str(self.repositories[repository]), *words),
            input=given,
            env={**kept, "GIT_CONFIG_GLOBAL": os.devnull},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().strip()

    def head(self, repository: str, branch: str = "main") -> str:
        return self.git(repository, "rev-parse", f"refs/heads/{branch}^{{commit}}")

    def commit(self, repository: str, files: Mapping[str, str], subject: str = "Work", branch: str = "main") -> str:
        """Somebody pushes a commit; its id."""
        ref = f"refs/heads/{branch}"
        head = f"commit {ref}\ncommitter developer-1 <developer-1@example.org> {int(START.timestamp())} +0000\n"
        stream = [
            head.encode(),
            b"data %d\n%s\n" % (len(subject.encode()), subject.encode()),
            f"from {ref}^0\n".encode(),
        ]
        stream += [
            b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(text.encode()), text.encode())
            for path, text in files.items()
        ]
        self.git(repository, "fast-import", "--quiet", given=b"".join(stream))
        return self.head(repository, branch)

    def hook(self, repository: str, name: str, script: str) -> None:
        """Make the server do that at every push."""
        path = self.repositories[repository] / "hooks" / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    # ---- inside ------------------------------------------------------------------------------------------------

    def _text(self) -> str:
        return config_text(
            repositories=self.repositories,
            labs={},
            lab_user="",
            jenkins=NOWHERE,
            engine=self.engine.url,
            registry=self.registry.url,
            prefix=self.registry.prefix,
            mail_port=self.mailbox.port,
            archive=self.mailbox.archive_url,
            api=self.api.url,
            backend=self.targets.url(BACKEND) if self.targets else NOWHERE,
            frontend=self.targets.url(FRONTEND) if self.targets else NOWHERE,
            storage=NOWHERE,
            user="kcibot",
            baseline="v5.10.79",
        )


def _without_others(text: str, known: set[str]) -> str:
    """The blocks that somebody reads who knows these keys only: other commands' sections are left out."""
    return "".join(block for block in re.split(r"(?m)^(?=\w)", text) if block.partition(":")[0] in {*known, ""})


@contextmanager
def kernelci(folder: Path, *, machines: bool = False) -> Iterator[Kernelci]:
    """Everything but Jenkins and the file server; with `machines` also what is deployed to. Takes half a second."""
    with ExitStack() as stack:
        repositories = create_repositories(folder / "repositories", START, None, folder / "targets")
        targets = stack.enter_context(Targets(folder / "targets", repositories)) if machines else None
        ping = targets.ping if targets else lambda _task: True
        api = ResultsApiStandIn(SECRETS["api-token"], lambda: "", ping=ping)
        registry = RegistryStandIn()
        clock = SandboxClock.create(folder / "clock.json")
        engine = DockerEngineStandIn(registry, clock)
        mailbox = MailboxStandIn()
        for server in (api, registry, engine, mailbox):
            stack.enter_context(server)
        for image in IMAGES:
            engine.seed(f"kernelci/{image}")
        yield Kernelci(folder, repositories, mailbox, registry, engine, api, targets)


# ---- lost answers and kills ------------------------------------------------------------------------------------


class Followed:
    """A real port of which one method, once it has really done its work, is followed by something else, once.

    `of` names the repository, for a method of a Git remote.
    """

    def __init__(self, port: Any, method: str, then: Callable[[], None], of: str = "") -> None:
        self._port, self._method, self._then, self._of = port, method, then, of
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        return self._follow if name == self._method else getattr(self._port, name)

    def remote(self, name: str) -> Any:
        """Of a Git host: the repository that is followed, or another one as it is."""
        found = self._port.remote(name)
        if name != self._of:
            return found
        followed = Followed(found, self._method, self._once)
        followed.calls = 1 if self.calls else 0
        return followed

    def _once(self) -> None:
        self.calls += 1
        self._then()

    def _follow(self, *args: Any, **named: Any) -> Any:
        self.calls += 1
        value = getattr(self._port, self._method)(*args, **named)
        if self.calls == 1:
            self._then()
        return value


class Preceded(Followed):
    """The same, but the something else comes before the method's work."""

    def _follow(self, *args: Any, **named: Any) -> Any:
        self.calls += 1
        if self.calls == 1:
            self._then()
        return getattr(self._port, self._method)(*args, **named)


def lost_answer() -> None:
    """What an adapter says when it cannot know."""
    raise OutcomeUnknown("the answer was lost")


def killed(place: Kernelci) -> Callable[[], None]:
    """Keep the journal as it is at that moment, as a kill would leave it, and let this life do nothing more."""

    def stop() -> None:
        backup(place.folder / "kcibot.db", place.folder / "killed.db")
        raise PermanentError("this life is over")

    return stop


def revive(place: Kernelci, bench: Bench) -> None:
    """End that life, and put the journal back to the moment of the kill, for the next bench."""
    bench.journal.close()
    for old in place.folder.glob("kcibot.db*"):
        old.unlink()
    (place.folder / "killed.db").rename(place.folder / "kcibot.db")


def with_ports(ports: Ports, **changed: object) -> Ports:
    """The same ports, some of them replaced."""
    return replace(ports, **changed)  # type: ignore[arg-type]


def start(bench: Bench, procedure: Procedure, args: object = None, who: str = "operator") -> Run:
    """Start a run as a verb would, and drive it as far as it goes; how it stands then."""
    person = bench.world.people.get(who)
    with bench.world.lock:
        bench.world.registry.procedures[procedure.name] = procedure
        outcome = bench.engine.start(procedure, person, ROOM, "", args)
        bench.journal.commit(outcome.changes)
    bench.engine.wake(outcome.wake)
    return bench.run(outcome.wake[0])


def result(bench: Bench, run: Run, step: Step[T]) -> T:
    """What that step of the run ended with."""
    return bench.journal.codec.load(step.result, bench.run(run.id).step(step.id).value)


def lines(bench: Bench, key: str) -> str:
    """The newest text of the message with that key: title, lines and fields, as people may read them."""
    bench.deliver()
    notice = bench.notices[key]
    return "\n".join((notice.title, *notice.lines, *(f"{field.name}: {field.value}" for field in notice.fields)))


def alerts(bench: Bench) -> str:
    """Everything that was said about steps that broke."""
    bench.deliver()
    return "\n".join(lines(bench, key) for key in bench.notices if ":broken:" in key)


def stuck() -> Step[None]:
    """A last step that people must look at, so that a run stays open."""

    def run(_context: Context) -> Done[None]:
        raise PermanentError("somebody has to look at it")

    return Step("stuck", "Stuck", run, type(None))
