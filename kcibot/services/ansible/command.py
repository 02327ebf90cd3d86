"""The command lines that Ansible is given, fit to be shown: every word of them is checked, and none is a secret."""

import json
import re
import shlex
from collections.abc import Mapping, Sequence

from kcibot.core.ports import Deployment
from kcibot.errors import PermanentError

COMMANDS = "kcibot-commands.yml"
"""The playbook of commands of the bot's own; it lies beside the playbooks while it runs."""
HIDDEN = "(hidden)"

_WORD = re.compile(r"[A-Za-z0-9_./@:+][A-Za-z0-9_./@:+,*!&-]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET = re.compile(r"PASS|TOKEN|SECRET|CREDENTIAL", re.IGNORECASE)
_FILE = re.compile(r"(FILE|PATH)$", re.IGNORECASE)


def command_line(deployment: Deployment) -> tuple[str, ...]:
    """The exact argv of `ansible-playbook`.

    `--force-handlers` is always there: without it handlers are lost when a later task fails, the next try sees
    "no change", and the old code goes on running.
    """
    words = ["ansible-playbook", *_where(deployment)]
    words += ["-D"] if deployment.diff else []
    words += ["-C"] if deployment.check else []
    words += [*_as_whom(deployment), "--force-handlers"]
    words += [f"--skip-tags={_words('tag', deployment.skip_tags)}"] if deployment.skip_tags else []
    words += ["-t", _words("tag", deployment.tags)] if deployment.tags else []
    words += _key(deployment)
    for name, value in sorted(deployment.extra_vars.items()):
        words += ["-e", _extra(name, value)]
    return (*words, _word("playbook", deployment.playbook))


def commands_line(deployment: Deployment) -> tuple[str, ...]:
    """The argv that runs COMMANDS instead of the deployment's playbook: the same machines, the same user."""
    return ("ansible-playbook", *_where(deployment), *_as_whom(deployment), *_key(deployment), COMMANDS)


def playbook_of(commands: Sequence[tuple[str, ...]], *, looking: bool) -> str:
    """The text of COMMANDS. One that only looks runs all of them; one that acts stops at the first that fails."""
    # what is no answer of the command itself, such as a wrong password, is not tried again with the next
    failed = {"register": "asked", "failed_when": "asked.rc is not defined"}
    asked = {"changed_when": False, **failed} if looking else {}
    tasks = [
        {"name": task_name(number, command), "ansible.builtin.command": {"argv": list(command)}, **asked}
        for number, command in enumerate(commands)
    ]
    play = {"name": "Commands of the bot", "hosts": "all", "gather_facts": False, "tasks": tasks}
    return json.dumps([play], indent=1)  # JSON is YAML


def task_name(number: int, command: tuple[str, ...]) -> str:
    """The number tells which command an answer belongs to."""
    return f"{number + 1}. {shlex.join(command)}"


def task_number(name: str) -> int:
    """Which command a task of COMMANDS runs, from 0."""
    return int(name.partition(".")[0]) - 1


def shown_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """Those variables as they may be shown: the value of one that is named like a secret is hidden."""
    return {
        name: HIDDEN if _SECRET.search(name) and not _FILE.search(name) else value
        for name, value in sorted(variables.items())
    }


def _where(deployment: Deployment) -> tuple[str, ...]:
    return "-i", _word("inventory", deployment.inventory), "-l", _word("host", deployment.limit)


def _as_whom(deployment: Deployment) -> tuple[str, ...]:
    user = ("-u", _word("user", deployment.remote_user)) if deployment.remote_user else ()
    become = ("-b",) if deployment.become else ()
    return (*user, *become, *(("--ask-become-pass",) if deployment.ask_become_pass else ()))


def _key(deployment: Deployment) -> tuple[str, ...]:
    return ("--private-key", _word("key file", deployment.private_key)) if deployment.private_key else ()


def _word(what: str, text: str) -> str:
    """A value for an option; one that could be read as an option itself is refused."""
    if not _WORD.fullmatch(text):
        raise PermanentError(f"{text[:60]!r} cannot be the {what} of a deployment; nothing was started.")
    return text


def _words(what: str, texts: Sequence[str]) -> str:
    return ",".join(_word(what, text) for text in texts)


def _extra(name: str, value: str) -> str:
    """NAME=VALUE, quoted as Ansible splits it; templates are refused, since Ansible would evaluate them."""
    if not _VARIABLE.fullmatch(name) or any(letter in value for letter in "{}\n\r\0'\"\\"):
        raise PermanentError(f"The variable {name[:60]!r} of the deployment has a value that cannot be passed safely.")
    return f"{name}={value}" if " " not in value and value else f"{name}='{value}'"
