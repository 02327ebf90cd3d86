"""One fault in a configuration is one line, which says where it is, what is wrong and how to mend it."""

from pathlib import Path

import pytest

from kcibot.config import ConfigProblems, load
from tests.fakes.config_text import replaced

REPLACED = {
    "an unquoted room is a comment": (
        '- "console:#kernelci"',
        "- #kernelci",
        (
            "config.yaml:11: chat.rooms[0]: is empty: what follows an unquoted # is a comment. "
            'Write it in quotes, such as "console:#kernelci", or leave the key out.'
        ),
    ),
    "a room without a network": (
        '"console:#kernelci"',
        '"kernelci"',
        'config.yaml:11: chat.rooms[0]: is no room. Write network and channel in quotes, such as "console:#kernelci".',
    ),
    "a room of a network that nobody configured": (
        "  console:\n    folder: room\n",
        "",
        "config.yaml:9: chat.rooms[0]: is a room of console, which is not configured. Add chat.console.",
    ),
    "a room of a network without its block": (
        '"console:#kernelci"',
        '"slack:C0123"',
        "config.yaml:11: chat.rooms[0]: is a room of slack, which is not configured. Add chat.slack.",
    ),
    "a password that would travel in the clear": (
        "  console:\n    folder: room\n",
        (
            "  console:\n    folder: room\n"
            "  irc: {server: irc.example.org, security: none, sasl: {account: bot, password: {env: IRC}}}\n"
        ),
        "config.yaml:10: chat.irc: would send its password in the clear. Use security: tls.",
    ),
    "a certificate that could not be shown": (
        "  console:\n    folder: room\n",
        (
            "  console:\n    folder: room\n"
            "  irc: {server: localhost, security: none,"
            " sasl: {mechanism: external, account: bot, certificate: irc.pem}}\n"
        ),
        "config.yaml:10: chat.irc: could not show its certificate without TLS. Use security: tls.",
    ),
    "a name where Slack has an id": (
        "identities: {console: operator}",
        "identities: {console: operator, slack: operator}",
        (
            "config.yaml:15: people.operator.identities.slack: is no user id of Slack."
            " Write the id, such as U0123ABCD; !whoami tells everybody theirs."
        ),
    ),
    "a channel of Slack by its name": (
        "  console:\n    folder: room\n  rooms:\n",
        (
            "  console:\n    folder: room\n"
            "  slack: {bot_token: {env: BOT}, app_token: {env: APP}}\n"
            "  rooms:\n    - 'slack:#kernelci'\n"
        ),
        (
            "config.yaml:12: chat.rooms[0]: is no channel id of Slack."
            ' Write the id, not the name, such as "slack:C0123ABCD".'
        ),
    ),
    "a tag": (
        'stale: "5m"',
        "stale: !now x",
        (
            "config.yaml:3: bot.stale: a tag (a word that starts with !) has no meaning here."
            " Write a text that starts with ! in quotes."
        ),
    ),
    "a length of time without a unit": (
        "tick: 1s",
        "tick: 1",
        'config.yaml:5: bot.tick: is a number without a unit. Write a length of time, such as "90s", "15m" or "24h".',
    ),
    "a length of time in words": (
        "tick: 1s",
        "tick: one second",
        'config.yaml:5: bot.tick: is no length of time. Write it as "90s", "15m", "24h" or "1d12h".',
    ),
    "no length of time": (
        "tick: 1s",
        "tick: 0s",
        'config.yaml:5: bot.tick: must be longer than nothing. Write a length of time, such as "30s".',
    ),
    "a length of time that no clock counts": (
        "tick: 1s",
        "tick: 999999999d",
        'config.yaml:5: bot.tick: is longer than a year. Write a length of time, such as "90s", "15m" or "24h".',
    ),
    "a choice that there is not": (
        "log_level: info",
        "log_level: loud",
        "config.yaml:6: bot.log_level: is none of 'debug', 'info', 'warning' or 'error'. Write one of them.",
    ),
    "a misspelt key": (
        "tick: 1s",
        "tik: 1s",
        "config.yaml:5: bot.tik: is unknown here. Did you mean tick?",
    ),
    "a key that is like no other": (
        "tick: 1s",
        "zzz: 1s",
        "config.yaml:5: bot.zzz: is unknown here. There is: name, state, flood, stale, tick, log_level.",
    ),
    "a key given twice": (
        "tick: 1s",
        "name: other",
        "config.yaml:5: bot.name: is given twice, first on line 2. Keep one of the two.",
    ),
    "a number where a text is due": (
        "author_name: KernelCI bot",
        "author_name: 2019.10",
        (
            "config.yaml:41: services.git.author_name: is taken for a number, and must be a text."
            ' Write it in quotes, such as "2019.10".'
        ),
    ),
    "a whole number where a text is due": (
        "author_name: KernelCI bot",
        "author_name: 20190506",
        (
            "config.yaml:41: services.git.author_name: is taken for a number, and must be a text."
            ' Write it in quotes, such as "20190506".'
        ),
    ),
    "a word that YAML takes for false": (
        "author_name: KernelCI bot",
        "author_name: no",
        (
            "config.yaml:41: services.git.author_name: is taken for true or false, and must be a text."
            ' Write it in quotes, such as "no".'
        ),
    ),
    "a text where a number is due": (
        "port: 1025",
        'port: "1025"',
        (
            "config.yaml:49: services.mail.port: must be a whole number."
            " Write it in plain digits and without quotes, such as 5."
        ),
    ),
    "an octal number": (
        "port: 1025",
        "port: 0587",
        (
            "config.yaml:49: services.mail.port: must be a whole number."
            " Write it in plain digits and without quotes, such as 5."
        ),
    ),
    "a number out of bounds": (
        "port: 1025",
        "port: 70000",
        "config.yaml:49: services.mail.port: must be at most 65535. Write a smaller number.",
    ),
    "a text where true or false is due": (
        "starter_may_vote: true",
        'starter_may_vote: "yes"',
        "config.yaml:31: gates.images.starter_may_vote: must be true or false. Write true or false, without quotes.",
    ),
    "one text where a list is due": (
        "roles: [observer]",
        "roles: observer",
        "config.yaml:23: people.observer.roles: must be a list. Write, for example, `roles: [operator]`.",
    ),
    "a list where a block is due": (
        "identities: {console: observer}",
        "identities: [observer]",
        (
            "config.yaml:24: people.observer.identities: must be a block of keys."
            " Write, for example, `identities: {console: operator}`."
        ),
    ),
    "an empty list": (
        "roles: [observer]",
        "roles: []",
        "config.yaml:23: people.observer.roles: has fewer entries than 1. Write, for example, `roles: [operator]`.",
    ),
    "a missing key": (
        "    url: http://127.0.0.1:8080\n",
        "",
        'config.yaml:33: services.jenkins.url: is missing. Add it, such as `url: "https://bot.kernelci.org"`.',
    ),
    "a missing secret": (
        "    token: {env: KCIBOT_TEST_JENKINS_TOKEN}\n",
        "",
        "config.yaml:33: services.jenkins.token: is missing. Add it, such as `token: {env: KCIBOT_JENKINS_TOKEN}`.",
    ),
    "an unknown role": (
        "roles: [observer]",
        "roles: [obsrver]",
        "config.yaml:23: people.observer.roles[0]: is no role. Did you mean observer?",
    ),
    "everybody's role, which cannot be given": (
        "roles: [observer]",
        "roles: [everybody]",
        (
            "config.yaml:23: people.observer.roles[0]: is no role."
            " There is: break-glass, observer, operator, release-manager."
        ),
    ),
    "an unknown gate": (
        "go: {expires: 8h}",
        "goo: {expires: 8h}",
        "config.yaml:30: gates.goo: is no gate. Did you mean go?",
    ),
    "a gate that nobody may open": (
        "go: {expires: 8h}",
        "go: {quorum: 3}",
        (
            "config.yaml:30: gates.go: needs 3 approvals by a release-manager other than the starter,"
            " but only manager-1 and manager-2 could give one."
            " Give more people the role release-manager, or change gates.go."
        ),
    ),
    "an identity of two persons": (
        "identities: {console: observer}",
        "identities: {console: operator}",
        (
            "config.yaml:24: people.observer.identities.console: is the identity of operator too, on line 15."
            " An identity belongs to one person: keep one of the two."
        ),
    ),
    "an identity on a misspelt network": (
        "identities: {console: observer}",
        "identities: {consle: observer}",
        "config.yaml:24: people.observer.identities.consle: is no network. Did you mean console?",
    ),
    "hours that end before they begin": (
        'to: "16:00"',
        'to: "07:00"',
        (
            "config.yaml:25: production_hours: ends before it begins."
            " Let `from` be earlier than `to`, on the same day (UTC)."
        ),
    ),
    "hours that no day has": (
        'to: "16:00"',
        'to: "24:01"',
        'config.yaml:28: production_hours.to: is no time of day. Write it in quotes, such as "08:00" (UTC).',
    ),
    "a day that there is not": (
        "days: [Mon, Tue, Wed, Thu]",
        "days: [Mo]",
        (
            "config.yaml:26: production_hours.days[0]: is none of 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat' or 'Sun'."
            " Write one of them."
        ),
    ),
    "an address without its scheme": (
        "url: http://127.0.0.1:8082",
        "url: 127.0.0.1:8082",
        "config.yaml:57: services.storage.url: is no URL. Write it with https:// or http:// and a host.",
    ),
    "a repository that is nowhere": (
        "git@github.com:kernelci/kernelci-core.git",
        "kernelci-core",
        (
            "config.yaml:39: services.git.repositories.core: is no URL."
            " Write it with https:// or ssh:// or http:// or file:// and a host."
        ),
    ),
    "half a login": (
        "security: none",
        "user: kcibot",
        "config.yaml:47: services.mail: has half a login. Write both `user` and `password`, or none of them.",
    ),
    "a password in the clear": (
        "security: none",
        "security: none\n    user: kcibot\n    password: {env: KCIBOT_MAIL}",
        "config.yaml:47: services.mail: would send its password in the clear. Use security: starttls or security: tls.",
    ),
    "what belongs to a playbook": (
        "  images:\n    engine",
        "  ansible: {ask_become_pass: true}\n  images:\n    engine",
        "config.yaml:43: services.ansible.ask_become_pass: is said for each playbook, in deploy.playbooks. Remove it.",
    ),
    "a tab": (
        "  tick: 1s",
        "\ttick: 1s",
        "config.yaml:5: a tab stands here. Indent with blanks.",
    ),
    "an open bracket": (
        "roles: [observer]",
        "roles: [observer",
        "config.yaml:23: a bracket is never closed, or a comma is missing. Close what is opened on this line.",
    ),
    "an open quote": (
        'stale: "5m"',
        "stale: '!",
        "config.yaml:3: a quote is opened and never closed. Close the quote that is opened on this line.",
    ),
    "a sign with a meaning": (
        'stale: "5m"',
        "stale: @",
        "config.yaml:3: a tab, or a sign with a meaning in YAML. Indent with blanks; quote what starts with @ or %.",
    ),
    "a wrong indentation": (
        "  tick: 1s",
        "   tick: 1s",
        "config.yaml:5: a key is indented wrongly, or a text holds a colon. Align the key, or quote the text.",
    ),
    "a key that is a list": (
        "tick: 1s",
        "? [tick]\n  : 1s",
        "config.yaml:5: bot: a key must be a plain text. Write it as `key: value`.",
    ),
    "a control character": (
        "name: kcibot",
        "name: kci\x07bot",
        "config.yaml:2: this line holds a control character. Remove it.",
    ),
}


@pytest.mark.parametrize(("old", "new", "line"), REPLACED.values(), ids=REPLACED)
def test_one_fault_is_one_line(tmp_path: Path, old: str, new: str, line: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(replaced(old, new))
    with pytest.raises(ConfigProblems) as caught:
        load(path, {})
    assert str(caught.value) == line
