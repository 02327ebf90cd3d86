"""The configuration: one YAML file, read strictly, whose every error names the line, the key and the fix."""

from kcibot.config.chat import Chat, Console, Irc, Sasl, Slack
from kcibot.config.check import check
from kcibot.config.configuration import Config, commands_path, load
from kcibot.config.models import Bot
from kcibot.config.problems import ConfigProblems, Problem
from kcibot.config.secrets import Secret, SecretSource
from kcibot.config.services import (
    Ansible,
    Git,
    Images,
    Imap,
    Jenkins,
    Login,
    Mail,
    ReportInbox,
    ResultsApi,
    Services,
    Storage,
    Tracker,
)

__all__ = [
    "Ansible",
    "Bot",
    "Chat",
    "Config",
    "ConfigProblems",
    "Console",
    "Git",
    "Images",
    "Imap",
    "Irc",
    "Jenkins",
    "Login",
    "Mail",
    "Problem",
    "ReportInbox",
    "ResultsApi",
    "Sasl",
    "Secret",
    "SecretSource",
    "Services",
    "Slack",
    "Storage",
    "Tracker",
    "check",
    "commands_path",
    "load",
]
