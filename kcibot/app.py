"""The composition root: the only place where adapters are wired to ports and threads are started."""

import importlib
import importlib.util
import logging
import queue
import shutil
import sys
import threading
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from kcibot.config import Config, ConfigProblems, Images, Login, Mail, ReportInbox, Secret, Tracker
from kcibot.core.access import People
from kcibot.core.clock import SystemClock
from kcibot.core.desk import Desk
from kcibot.core.dispatch import Dispatcher
from kcibot.core.engine import Engine
from kcibot.core.message import Incoming
from kcibot.core.ports import ChatAdapter, Clock, GitHost, ImageRegistry, IssueTracker, Mailer, Ports
from kcibot.core.ports import ReportInbox as ReportMails
from kcibot.core.reconcile import Reconciler
from kcibot.core.redact import Redactor
from kcibot.core.registry import Registry
from kcibot.core.sender import Sender
from kcibot.core.watching import Watching
from kcibot.core.world import BOT, World
from kcibot.errors import Aborted, ConfigError, KcibotError, UserError

if TYPE_CHECKING:
    from kcibot.chat.irc.settings import IrcSettings
    from kcibot.chat.slack.settings import SlackSettings

log = logging.getLogger(__name__)


COMMANDS = "kcibot.commands"
CLOSING_SECONDS = 20.0
AGAIN_SECONDS = 0.1
REMEMBERING = frozenset({"irc", "slack"})
"""Networks that say when they have delivered what was missed."""
HEAR_FIRST_SECONDS = 5.0
"""How long runs wait after a start for what was said meanwhile."""
DATABASE = "kcibot.db"
PULSE = "pulse"
"""Touched at every tick, so that a health check can tell a bot that works from one that hangs."""


def registry(commands_path: Path | None = None) -> Registry:
    """Every command there is: of the packages that announce themselves, and of a folder of one's own."""
    found = Registry()
    for entry in entry_points(group=COMMANDS):
        found.scan(entry.load())
    if commands_path:
        if not commands_path.is_dir():
            raise ConfigError(f"commands_path: {commands_path} is no folder")
        for file in sorted(commands_path.glob("*.py")):
            found.add(_load(file))
    return found


class Bot:
    """One life of the bot, from taking the lease to giving it back."""

    def __init__(self, config: Config, commands: Registry, redactor: Redactor, clock: Clock | None = None) -> None:
        from kcibot.store.codec import PydanticCodec  # noqa: PLC0415 (nothing is opened before it is asked for)
        from kcibot.store.opening import open_store  # noqa: PLC0415

        state = config.bot.state
        state.mkdir(parents=True, exist_ok=True)
        self._store = open_store(state / DATABASE, redactor, PydanticCodec())
        self._orphans(str(state.resolve()))
        self._clock = clock or SystemClock()
        self.world = World(
            journal=self._store.journal,
            clock=self._clock,
            people=config.people(),
            ports=ports(config, redactor),
            registry=_overridden(commands, config),
            rooms=config.rooms(),
            policies=config.policies(),
            sections=config.sections,
            folder=_emptied(state / "work"),
            hours=config.hours,
            relayed=config.chat.relay,
        )
        self.engine = Engine(self.world)
        bot = config.bot
        self._dispatcher = Dispatcher(self.world, self.engine, bot.prefix, bot.name, bot.flood, bot.stale)
        self._watching = Watching(self.world)
        self._adapters = adapters(config, self._clock, redactor, self.world.people)
        by_network = {adapter.network: adapter for adapter in self._adapters}
        journal = self._store.journal
        reconciler = Reconciler(self.world, by_network, journal.accept)
        self._desk = Desk(journal, reconciler, self._dispatcher.concerns)
        self._senders = [Sender(self._store.outbox, adapter) for adapter in self._adapters]
        self._events: queue.SimpleQueue[Incoming | threading.Event | None] = queue.SimpleQueue()
        self._resumed = threading.Event()
        self._stopping = threading.Event()
        self._dispatcher.posting = self._is_posting
        self._dispatcher.answers_wait = False
        self._dispatcher.broken = self._broken
        self._listener = threading.Thread(target=self._listen, name="dispatcher", daemon=True)
        self._pulse = state / PULSE
        self.failed = threading.Event()
        self._tick_seconds = config.bot.tick.total_seconds()

    def start(self) -> None:
        """Deal with what was left over, listen, then go on with every run."""
        from kcibot.services.scheduler import Ticker  # noqa: PLC0415

        journal = self._store.journal
        self.engine.take_over()
        for event in journal.unsettled():
            self._events.put(event)
        journal.on_event = self._events.put
        self._listener.start()
        for sender in self._senders:
            sender.start()
        for adapter in self._adapters:
            adapter.start(self._desk)
        threading.Thread(target=self._resume, name="resume", daemon=True).start()
        self._ticker = Ticker(self._tick, self._tick_seconds)
        self._ticker.start()
        log.info("started with %s commands", len(self.world.registry.commands))

    def _resume(self) -> None:
        """Go on with every run once it was heard what people said meanwhile: it may be that they want it to stop.

        A network that is away is not waited for.
        """
        remembering = {adapter.network for adapter in self._adapters} & REMEMBERING
        if not self._desk.wait(remembering, HEAR_FIRST_SECONDS):
            log.warning("not every network is there; the runs go on without having heard what was said there")
        heard = threading.Event()
        self._events.put(heard)
        heard.wait(HEAR_FIRST_SECONDS)
        if self._stopping.is_set():
            return
        try:
            self.engine.go_on()
            self._resumed.set()
        except Exception:
            log.exception("the runs cannot be gone on with; the bot stops")
            self.failed.set()

    def stop(self) -> None:
        """Come to a safe point, say what is to be said, and give the lease back. Runs go on after the next start."""
        self._stopping.set()
        self._ticker.stop()
        for adapter in self._adapters:
            adapter.stop()
        self._desk.close()
        self._events.put(None)
        self._listener.join(CLOSING_SECONDS)
        self._store.journal.writer.flush()  # what was answered last is in the outbox then
        self.engine.close(CLOSING_SECONDS)
        for sender in self._senders:
            sender.stop(CLOSING_SECONDS)
        self._store.close()
        log.info("stopped")

    def reload(self, config: Config) -> tuple[str, ...]:
        """Take over who is who and who may do what; every change is audited. Anything else waits for a restart."""
        with self.world.lock:
            changes = self.world.people.become(config.people())
            if changes:
                self.world.journal.commit([self.world.audit(BOT, "people changed", change) for change in changes])
        return changes

    def _tick(self) -> None:
        try:
            if self._resumed.is_set():
                self.engine.tick()
            self._watching.tick()
        except Aborted:
            log.exception("another bot has the lease; this one stops")
            self.failed.set()
            return
        self._pulse.touch()

    def _listen(self) -> None:
        while (event := self._events.get()) is not None:
            if isinstance(event, threading.Event):
                event.set()
                continue
            try:
                if not self._dispatcher.handle(event):
                    self._hear_again(event)
            except Exception:
                log.exception("an event cannot be dealt with; the bot stops, and hears it again when it starts")
                self.failed.set()
                return

    def _broken(self, error: KcibotError) -> None:
        log.error("an answer cannot be recorded; the bot stops, and hears it again when it starts: %s", error)
        self.failed.set()

    def _is_posting(self, network: str) -> bool:
        return any(sender.posting for sender in self._senders if sender.network == network)

    def _hear_again(self, event: Incoming) -> None:
        """Soon; if the bot stops before that, the event is still unsettled at the next start."""
        timer = threading.Timer(AGAIN_SECONDS, self._events.put, (event,))
        timer.daemon = True
        timer.start()

    def _orphans(self, owner: str) -> None:
        """What an earlier life left running is ended before anything is looked at."""
        from kcibot.services.processes import end_orphans, mark_children  # noqa: PLC0415

        end_orphans(owner)
        mark_children(owner)


def ports(config: Config, redactor: Redactor) -> Ports:
    """Every service, as configured. Nothing is connected to before it is used."""
    from kcibot.services.ansible.adapter import AnsibleDeployer  # noqa: PLC0415
    from kcibot.services.jenkins.adapter import JenkinsServer  # noqa: PLC0415
    from kcibot.services.kernelci_api.adapter import KernelciApi  # noqa: PLC0415
    from kcibot.services.lava.adapter import LavaLab  # noqa: PLC0415
    from kcibot.services.storage import HttpFileStore  # noqa: PLC0415

    services = config.services
    jenkins, ansible, results = services.jenkins, services.ansible, services.results_api
    return Ports(
        ci=JenkinsServer(jenkins.url, jenkins.user, jenkins.token.reader(redactor), jenkins.timeout.total_seconds()),
        git=_git(config, redactor),
        deployer=AnsibleDeployer(
            config.bot.state / "deployments",
            _read(ansible.become_password, redactor),
            ansible.environment,
            ansible.timeout.total_seconds(),
        ),
        images=_images(services.images, redactor),
        mailer=_mailer(services.mail, redactor),
        results=KernelciApi(
            results.url,
            results.token.reader(redactor),
            results.versions,
            results.timeout.total_seconds(),
            results.task_probe,
            results.probe_timeout.total_seconds(),
            services.storage.url,
        ),
        files=HttpFileStore(services.storage.timeout.total_seconds()),
        labs=tuple(
            LavaLab(name, lab.url, lab.user, lab.token.reader(redactor), lab.api, lab.timeout.total_seconds())
            for name, lab in services.labs.items()
        ),
        tracker=_tracker(services.tracker, redactor) if services.tracker else None,
        report_inbox=_report_inbox(services.report_inbox, redactor) if services.report_inbox else None,
    )


def _git(config: Config, redactor: Redactor) -> GitHost:
    from kcibot.services.git.adapter import GitRepositories  # noqa: PLC0415

    git = config.services.git
    return GitRepositories(
        git.repositories,
        config.bot.state / "mirrors",
        git.author_name,
        git.author_email,
        git.ssh_key,
        git.timeout.total_seconds(),
        token=_read(git.token, redactor),
        logins={host: (login.user, login.token.reader(redactor)) for host, login in git.logins.items()},
        known_hosts=git.known_hosts,
    )


def _images(images: Images, redactor: Redactor) -> ImageRegistry:
    from kcibot.services.images.adapter import DockerImages  # noqa: PLC0415

    login = _login(images.login, redactor) if images.login else None
    seconds = images.timeout.total_seconds()
    return DockerImages(images.engine, images.registry, images.prefix, seconds, login, images.network_mode)


def _mailer(mail: Mail, redactor: Redactor) -> Mailer:
    from kcibot.services.mail.adapter import MailSecurity, SentFolder, SmtpMailer  # noqa: PLC0415

    imap, ca_file, folder = mail.imap, str(mail.ca_file or ""), None
    if imap:
        password = imap.password.reader(redactor)
        folder = SentFolder(
            imap.host, imap.user, password, imap.folder, imap.port, ca_file=ca_file, copy_to=imap.copy_to
        )
    return SmtpMailer(
        mail.host,
        mail.port,
        user=mail.user or "",
        password=_read(mail.password, redactor),
        security=MailSecurity(mail.security),
        ca_file=ca_file,
        timeout_seconds=mail.timeout.total_seconds(),
        sent_folder=folder,
        archive_url=mail.archive_url or "",
    )


def _report_inbox(inbox: ReportInbox, redactor: Redactor) -> ReportMails:
    from kcibot.services.mail.imap import MailFolder  # noqa: PLC0415
    from kcibot.services.mail.reports import ImapReports  # noqa: PLC0415

    password, ca_file = inbox.password.reader(redactor), str(inbox.ca_file or "")
    place = MailFolder(inbox.host, inbox.user, password, inbox.folder, inbox.port, ca_file)
    return ImapReports(place, inbox.timeout.total_seconds())


def _tracker(tracker: Tracker, redactor: Redactor) -> IssueTracker:
    from kcibot.services.tracker import HttpTracker  # noqa: PLC0415

    token, seconds = tracker.token.reader(redactor), tracker.timeout.total_seconds()
    return HttpTracker(tracker.url, tracker.repository, token, seconds)


def _read(secret: Secret | None, redactor: Redactor) -> Callable[[], str] | None:
    return secret.reader(redactor) if secret else None


def _login(login: Login, redactor: Redactor) -> Callable[[], tuple[str, str]]:
    password = login.password.reader(redactor)
    return lambda: (login.user, password())


def adapters(config: Config, clock: Clock, redactor: Redactor, people: People) -> list[ChatAdapter]:
    """One per configured network. Persons are addressed by what each network knows them as."""
    found: list[ChatAdapter] = []
    if config.chat.console:
        from kcibot.chat.console import ConsoleChat  # noqa: PLC0415
        from kcibot.chat.room import Room  # noqa: PLC0415

        folder = config.chat.console.folder
        found.append(ConsoleChat(folder, room=Room(folder, clock.now)))
    if config.chat.irc:
        from kcibot.chat.irc.adapter import IrcChat  # noqa: PLC0415

        irc = _irc(config, redactor)
        found.append(IrcChat(irc, lambda name: people.get(name).identity("irc"), now=clock.now))
    if config.chat.slack:
        from kcibot.chat.slack.adapter import SlackChat  # noqa: PLC0415

        found.append(SlackChat(_slack(config, redactor), lambda name: people.get(name).identity("slack")))
    return found


def _irc(config: Config, redactor: Redactor) -> "IrcSettings":
    from kcibot.chat.irc.settings import IrcSettings, Mechanism, no_password  # noqa: PLC0415

    irc = config.chat.irc
    if irc is None:
        raise ConfigError("chat.irc is not configured")
    sasl = irc.sasl
    return IrcSettings(
        irc.server,
        irc.port,
        channels=_channels(config, "irc"),
        nick=irc.nick,
        tls=irc.security == "tls",
        ca_file=str(irc.ca_file or ""),
        mechanism=Mechanism(sasl.mechanism.upper()) if sasl else Mechanism.NONE,
        account=sasl.account if sasl else "",
        password=sasl.password.reader(redactor) if sasl and sasl.password else no_password,
        certificate=str(sasl.certificate or "") if sasl else "",
        rate=irc.rate,
        burst=irc.burst,
        longest=irc.longest,
        timeout=irc.timeout,
        ping=irc.ping,
        prefix=config.bot.prefix,
    )


def _slack(config: Config, redactor: Redactor) -> "SlackSettings":
    from kcibot.chat.slack.settings import SlackSettings  # noqa: PLC0415

    slack = config.chat.slack
    if slack is None:
        raise ConfigError("chat.slack is not configured")
    tokens = slack.bot_token.reader(redactor), slack.app_token.reader(redactor)
    return SlackSettings(
        *tokens,
        _channels(config, "slack"),
        slack.api,
        slack.timeout,
        slack.missed,
        name=config.bot.name,
        fonts=config.bot.state / "fonts",
    )


def _channels(config: Config, network: str) -> tuple[str, ...]:
    return tuple(place.channel for place in config.rooms() if place.network == network)


def _overridden(commands: Registry, config: Config) -> Registry:
    """The same commands, with the order of steps that the configuration wants."""
    for name, steps in config.procedures.items():
        try:
            commands.procedures[name] = commands.procedure(name).reordered(steps)
        except (ValueError, UserError) as error:
            problem = config.problem(("procedures", name), str(error), "Put its steps in a possible order")
            raise ConfigProblems(config.path.name, [problem]) from error
    return commands


def _emptied(folder: Path) -> Path:
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    return folder


def _load(file: Path) -> ModuleType:
    name = f"kcibot_commands_of_ones_own.{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
