"""Runs one playbook to its end and writes down how it ended, whatever becomes of the bot that started it.

    python -m kcibot.services.ansible.supervisor FOLDER LOCK

FOLDER is the run's record; LOCK is the number of the open file that holds its lock. A sudo password comes by standard
input, and by no other way.
"""

import os
import re
import shlex
import sys
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kcibot.services import process_tree
from kcibot.services.ansible.events import Story
from kcibot.services.ansible.record import Ending, Order, Record

BECOME_PROMPT = r"^BECOME password.*:\s*?$"
POLL_SECONDS = 0.2
MASK = "[secret]"
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def main(folder: Path, lock: int) -> int:
    os.set_inheritable(lock, False)  # noqa: FBT003 (so it is declared) Ansible must not hold it when this is gone
    password = sys.stdin.read()
    record = Record(folder)
    try:
        record.end(_supervised(record, record.order(), password))
    finally:
        record.tidy()
    return 0


def _supervised(record: Record, order: Order, password: str) -> Ending:
    if order.ask_become_pass and not password:
        return Ending("refused", messages=("the sudo password did not arrive",))
    story = Story(record.tell, check=order.check, looking=order.looking)
    stop = _Stop(record, time.monotonic() + order.timeout_seconds)
    runner = _runner(record, order, password, story, stop)
    # An option left over from anywhere (a file, a default) would run something else than what was approved.
    if tuple(runner.config.command) != order.command:
        return Ending("refused", messages=("Ansible would have run another command than the one shown",))
    if record.stopping:
        return Ending("not-begun", check=order.check)
    record.begin()
    status = _run(runner, stop)
    _keep_output(record, runner, password)
    return _ending("timeout" if stop.too_long else status, runner.rc, order, story)


def _runner(record: Record, order: Order, password: str, story: Story, stop: "_Stop") -> Any:
    """A runner that is ready to run, in a private folder of its own.

    Files in such a folder persist and win over arguments, and events of one identifier are mixed: both are new.
    """
    from ansible_runner.interface import init_runner  # noqa: PLC0415 (heavy, and this file is also read for its name)

    record.private.mkdir(mode=0o700)
    runner = init_runner(
        private_data_dir=str(record.private),
        project_dir=str(record.project),
        ident=uuid.uuid4().hex,
        playbook=order.command[-1],
        cmdline=shlex.join(order.command[1:-1]),
        passwords={BECOME_PROMPT: password} if order.ask_become_pass else {},
        envvars=dict(order.variables),
        suppress_env_files=True,
        quiet=True,
        event_handler=story.hear,
        cancel_callback=stop.asked,
    )
    # Given as a setting it would be forgotten: settings without a file are dropped.
    runner.config.pexpect_timeout = POLL_SECONDS
    runner.config.env = _environment(runner.config.env, record.private, order.variables)
    return runner


def _environment(prepared: Mapping[str, str], private: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """What the runner prepared for Ansible, over the few variables that the supervisor itself was given."""
    needed = {name: value for name, value in prepared.items() if name.startswith(("ANSIBLE_", "AWX_", "RUNNER_"))}
    return {**os.environ, **needed, "ANSIBLE_LOCAL_TEMP": str(private / "tmp"), **variables}


@dataclass(slots=True)
class _Stop:
    """Asked every moment whether to stop; if so, it ends Ansible's workers too.

    Each worker of ansible-core 2.19 has a session of its own, so that the runner's kill does not reach it and its task
    would go on.
    """

    record: Record
    deadline: float
    too_long: bool = False

    def asked(self) -> bool:
        self.too_long = self.too_long or time.monotonic() > self.deadline
        if not (self.too_long or self.record.stopping):
            return False
        self.end()
        return True

    def end(self) -> None:
        root = process_tree.child_with(str(self.record.private))
        if root is not None:
            process_tree.end_tree(root)


def _run(runner: Any, stop: _Stop) -> str:
    from ansible_runner.exceptions import AnsibleRunnerException  # noqa: PLC0415 (see `_runner`)

    try:
        runner.run()
    except (AnsibleRunnerException, OSError):
        stop.end()
        return "lost"
    return str(runner.status)


def _keep_output(record: Record, runner: Any, password: str) -> None:
    """It never raises: how the playbook ended is to be written down whatever becomes of its output."""
    from ansible_runner.exceptions import AnsibleRunnerException  # noqa: PLC0415 (see `_runner`)

    try:
        with runner.stdout as said:
            text = _COLOUR.sub("", said.read())
        record.keep_output(text.replace(password, MASK) if password else text)
    except (AnsibleRunnerException, OSError, ValueError) as error:
        sys.stderr.write(f"the output could not be kept: {error}\n")


def _ending(status: str, rc: int | None, order: Order, story: Story) -> Ending:
    stats = story.stats or {}
    return Ending(
        status=status,
        rc=rc,
        check=order.check,
        finished=story.stats is not None,
        processed=_total(stats, "processed"),
        ok=_total(stats, "ok"),
        changed=_total(stats, "changed"),
        effects=story.effects,
        changes=tuple(story.changes),
        handlers=tuple(story.handlers),
        failures=tuple(story.failures),
        unreachable=tuple(story.unreachable),
        messages=tuple(story.messages),
        differences=tuple(story.differences),
        answers=tuple(story.answers),
    )


def _total(stats: Mapping[str, Any], key: str) -> int:
    return sum((stats.get(key) or {}).values())


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
