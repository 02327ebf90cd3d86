"""The configuration of everything the bot works with: one block per service, each with its time limits."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from kcibot.config.fields import Address, Block, FilePath, GitUrl, Name, Text, Timeout, complain, http
from kcibot.config.secrets import Secret
from kcibot.core.wording import listed

Port = Annotated[int, Field(ge=1, le=65535)]
Url = Annotated[str, AfterValidator(http())]

SECRET_EXAMPLE = "{env: KCIBOT_%s}"


class Jenkins(Block):
    """The Jenkins server. `token` is an API token of `user`, made on the user's page."""

    refused: ClassVar[Mapping[str, str]] = {"password": "Jenkins is spoken to with an API token: use `token`"}

    url: Annotated[str, AfterValidator(http("services.jenkins.user and services.jenkins.token"))] = Field(
        examples=['"https://bot.kernelci.org"']
    )
    user: Text = Field(examples=["kcibot"])
    token: Secret = Field(examples=[SECRET_EXAMPLE % "JENKINS_TOKEN"])
    timeout: Timeout = timedelta(seconds=10)


class GitLogin(Block):
    """A user of one HTTPS server of repositories, and the secret that proves it."""

    user: Text = Field(examples=["kcibot"])
    token: Secret = Field(examples=[SECRET_EXAMPLE % "GIT_TOKEN"])


class Git(Block):
    """The repositories by name.

    `token` answers the one HTTPS server that they are on, `logins` those of them that are named there; `ssh_key` is for
    SSH servers, whose own keys are in `known_hosts`.
    """

    refused: ClassVar[Mapping[str, str]] = {"password": "Git servers are spoken to with `token` or `ssh_key`"}

    repositories: Mapping[Name, GitUrl] = Field(
        min_length=1, examples=['{core: "git@github.com:kernelci/kernelci-core.git"}']
    )
    author_name: Text = Field(examples=['"KernelCI bot"'])
    author_email: Text = Field(examples=['"bot@kernelci.org"'])
    ssh_key: FilePath | None = Field(default=None, examples=['"/etc/kcibot/id_ed25519"'])
    known_hosts: FilePath | None = Field(default=None, examples=['"/etc/kcibot/known_hosts"'])
    token: Secret | None = Field(default=None, examples=[SECRET_EXAMPLE % "GIT_TOKEN"])
    logins: Mapping[Name, GitLogin] = Field(default={}, examples=["{git.example.org: {user: ..., token: {env: NAME}}}"])
    timeout: Timeout = timedelta(minutes=2)

    @model_validator(mode="after")
    def _one_server_each(self) -> "Git":
        """A token is for one server: no other is ever shown it."""
        urls = (urlsplit(url) for url in self.repositories.values() if url.startswith(("https://", "http://")))
        others = sorted({url.hostname or "" for url in urls} - self.logins.keys())
        if self.token is not None and len(others) > 1:
            raise complain(f"has one `token` for {listed(others)}", "Write `logins`, with one for each of them")
        return self


def _no_secrets(variables: Mapping[str, str]) -> Mapping[str, str]:
    if any(name.upper().endswith(("PASSWORD", "TOKEN", "SECRET")) for name in variables):
        fix = "Name a file in its _FILE variable, use `become_password`, or set it for the bot's own process"
        raise complain("holds a variable that is named like a secret", fix)
    return variables


class Ansible(Block):
    """What every run of a playbook shares. `become_password` answers those that say `ask_become_pass`.

    What reaches a playbook's command line stands with it, in `deploy.playbooks`.
    """

    refused: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("become", "ask_become_pass", "private_key"), "is said for each playbook, in deploy.playbooks"
    )

    become_password: Secret | None = Field(default=None, examples=[SECRET_EXAMPLE % "BECOME_PASSWORD"])
    environment: Annotated[Mapping[Name, str], AfterValidator(_no_secrets)] = Field(
        default={}, examples=['{ANSIBLE_SSH_PIPELINING: "1"}']
    )
    timeout: Timeout = timedelta(hours=2)


class Login(Block):
    """A user and the secret that proves it."""

    user: Text = Field(examples=["kcibot"])
    password: Secret = Field(examples=[SECRET_EXAMPLE % "PASSWORD"])


class Images(Block):
    """The Docker engine that builds, and the registry that keeps. `prefix` is put before names for the engine."""

    engine: Annotated[
        str, AfterValidator(Address(("unix", "tcp", "http"), "services.images.login, if they are the registry's"))
    ] = Field(default="unix:///var/run/docker.sock", examples=['"unix:///var/run/docker.sock"'])
    registry: Annotated[str, AfterValidator(http("services.images.login"))] = Field(
        examples=['"https://registry-1.docker.io"']
    )
    prefix: str = Field(default="", examples=['"registry.example.org:5000/"'])
    login: Login | None = None
    network_mode: Text | None = Field(default=None, examples=["host"])
    timeout: Timeout = timedelta(minutes=10)


class Imap(Login):
    """The sent folder (over TLS), in which a mail is looked for after a crash; mail to `copy_to` arrives there."""

    host: Text = Field(examples=['"imap.example.org"'])
    port: Port = 993
    folder: Text = "Sent"
    copy_to: str = Field(default="", examples=['"kcibot-sent@example.org"'])


class Mail(Block):
    """The server that takes mails for the list, and where those that went out can be seen."""

    host: Text = Field(examples=['"smtp.example.org"'])
    port: Port = 587
    security: Literal["none", "starttls", "tls"] = "starttls"
    user: Text | None = Field(default=None, examples=["kcibot"])
    password: Secret | None = Field(default=None, examples=[SECRET_EXAMPLE % "MAIL_PASSWORD"])
    ca_file: FilePath | None = Field(default=None, examples=['"/etc/ssl/certs/ca-certificates.crt"'])
    archive_url: Url | None = Field(default=None, examples=['"https://lore.kernel.org/kernelci"'])
    imap: Imap | None = None
    timeout: Timeout = timedelta(seconds=30)

    @model_validator(mode="after")
    def _login_is_whole(self) -> "Mail":
        if (self.user is None) != (self.password is None):
            raise complain("has half a login", "Write both `user` and `password`, or none of them")
        if self.user is not None and self.security == "none":
            raise complain("would send its password in the clear", "Use security: starttls or security: tls")
        return self


class ReportInbox(Login):
    """The mailbox (over TLS) into which the backend's report mails come; it is only looked into."""

    host: Text = Field(examples=['"imap.example.org"'])
    port: Port = 993
    folder: Text = "INBOX"
    ca_file: FilePath | None = Field(default=None, examples=['"/etc/ssl/certs/ca-certificates.crt"'])
    timeout: Timeout = timedelta(seconds=30)


class ResultsApi(Block):
    """KernelCI's backend. `versions` maps a component to the address that tells which version of it runs."""

    url: Annotated[str, AfterValidator(http("services.results_api.token"))] = Field(
        examples=['"https://api.kernelci.org"']
    )
    token: Secret = Field(examples=[SECRET_EXAMPLE % "API_TOKEN"])
    versions: Mapping[Name, Url] = Field(
        min_length=1,
        examples=['{backend: "https://api.kernelci.org/version", frontend: "https://kernelci.org"}'],
    )
    task_probe: str = Field(default="", examples=['"ping"'])
    timeout: Timeout = timedelta(seconds=10)
    probe_timeout: Timeout = timedelta(seconds=30)


class Storage(Block):
    """The file server."""

    url: Url = Field(examples=['"https://storage.kernelci.org"'])
    timeout: Timeout = timedelta(seconds=10)


class Lab(Block):
    """One LAVA lab. `token` is one of `user`'s, whose jobs are looked for; `api` is xmlrpc for servers before 2020."""

    refused: ClassVar[Mapping[str, str]] = {"password": "LAVA is spoken to with a token: use `token`"}

    url: Annotated[str, AfterValidator(http("services.labs.user and services.labs.token"))] = Field(
        examples=['"https://lava.example.org"']
    )
    user: Text = Field(examples=["kernel-ci"])
    token: Secret = Field(examples=[SECRET_EXAMPLE % "LAB_TOKEN"])
    api: Literal["rest", "xmlrpc"] = "rest"
    timeout: Timeout = timedelta(seconds=10)


def _repository(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+", value):
        raise complain("is no repository", 'Write its owner and its name, such as "kernelci/kernelci-core"')
    return value


class Tracker(Block):
    """Where issues and pull requests of a repository are opened: GitHub, or what speaks its API."""

    refused: ClassVar[Mapping[str, str]] = {"password": "the API is spoken to with a token: use `token`"}

    url: Annotated[str, AfterValidator(http("services.tracker.token"))] = Field(
        default="https://api.github.com", examples=['"https://api.github.com"']
    )
    repository: Annotated[str, AfterValidator(_repository)] = Field(examples=['"kernelci/kernelci-core"'])
    token: Secret = Field(examples=[SECRET_EXAMPLE % "TRACKER_TOKEN"])
    timeout: Timeout = timedelta(seconds=10)


class Services(Block):
    """Every service that a release needs."""

    jenkins: Jenkins = Field(examples=['{url: "https://bot.kernelci.org", user: kcibot, token: {env: NAME}}'])
    git: Git = Field(examples=['{repositories: {core: "git@github.com:kernelci/kernelci-core.git"}, ...}'])
    ansible: Ansible = Ansible()
    images: Images = Field(examples=['{registry: "https://registry-1.docker.io"}'])
    mail: Mail = Field(examples=['{host: "smtp.example.org"}'])
    results_api: ResultsApi = Field(examples=['{url: "https://api.kernelci.org", token: {env: NAME}, versions: ...}'])
    report_inbox: ReportInbox | None = Field(default=None, examples=['{host: "imap.example.org", user: ..., ...}'])
    storage: Storage = Field(examples=['{url: "https://storage.kernelci.org"}'])
    tracker: Tracker | None = Field(default=None, examples=["{repository: kernelci/kernelci-core, token: ...}"])
    labs: Mapping[Name, Lab] = Field(default={}, examples=["{lab-one: {url: ..., user: ..., token: {env: NAME}}}"])
