"""What the configuration names, made: every service's adapter and every chat network's. Only `app` wires them."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from kcibot.config import Config, Images, Login, Mail, ReportInbox, Secret, Tracker
from kcibot.core.access import People
from kcibot.core.ports import ChatAdapter, Clock, GitHost, ImageRegistry, IssueTracker, Mailer, Ports
from kcibot.core.ports import ReportInbox as ReportMails
from kcibot.core.redact import Redactor
from kcibot.errors import ConfigError

if TYPE_CHECKING:
    from kcibot.chat.irc.settings import IrcSettings
    from kcibot.chat.slack.settings import SlackSettings


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
