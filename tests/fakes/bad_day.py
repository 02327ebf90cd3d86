"""A release in KernelCI in miniature on a day on which things go wrong: the real bot process, and people who answer it.

What is asserted is read from the room and from the sandbox's own state, never from the bot's journal.
"""

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from kcibot.chat.room import Event, Room, RoomKind
from kcibot.chat.transcript import transcript
from kcibot.core.notice import Level, Notice
from kcibot.sandbox.bot_process import BotProcess
from kcibot.sandbox.kernelci.jobs import Settings
from kcibot.sandbox.kernelci.world import PRODUCTION, Sandbox
from tests.fakes.bench import BEGINS

PATIENCE_SECONDS = 60.0
LOOK_SECONDS = 0.02
RELEASED = ("core", "backend", "frontend", "jenkins")
VOTERS = {
    "go": ("manager-1",),
    "accept": ("manager-2",),
    "force": ("manager-1", "manager-2"),
    "amend": ("manager-1",),
    "rollback": ("manager-1",),
}
QUICK = Settings(kernels=20, failure_rate=0.0, kernel_minutes=(1.0, 4.0), lab_minutes=(1.0, 5.0))
SKIPPED = (
    ("Comment window", "comments until", timedelta(hours=27)),
    ("Jenkins drained", "kernel-build-trigger", timedelta(minutes=35)),
    ("Pipe cleaner", "20 kernels built", timedelta(minutes=30)),
    ("Pipe cleaner", "276 test results", timedelta(minutes=40)),
)
"""Waits that nobody sits through: the step, what it says then, and how far time is put forward, once each."""


class OneWeek(Sandbox):
    """A sandbox in which only some components have changed since the last release."""

    def __init__(self, folder: Path, changed: tuple[str, ...], settings: Settings, rate: float) -> None:
        self._changed = changed
        super().__init__(folder, rate, settings=settings, begins=BEGINS)

    def _repositories(self, real_yaml: Path | None) -> Mapping[str, Path]:
        paths = super()._repositories(real_yaml)
        for name in set(RELEASED) - set(self._changed):
            _git(paths[name], "update-ref", f"refs/heads/{PRODUCTION}", "refs/heads/main")
        return paths


class Day:
    """The sandbox, the bot, and the room with everybody in it. Gates named in `silent` are answered by nobody."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.bot = BotProcess(sandbox.folder)
        self.room = Room(sandbox.folder / "room", sandbox.clock.now)
        self.silent: set[str] = set()
        self.prompts: dict[str, int] = {}
        self.notices: dict[int, Notice] = {}
        self._skips = list(SKIPPED)
        self._reader = self.room.reader()
        self._keys: dict[int, str] = {}
        self._told: dict[str, int] = {}
        self._tags = {name: set(self.git(name, "tag").splitlines()) for name in RELEASED}

    # ---- the room ----------------------------------------------------------------------------------------------

    def say(self, who: str, text: str) -> int:
        return self.room.say(who, text).number

    def react(self, who: str, gate: str, emoji: str = "+1") -> None:
        self.room.react(who, self.prompts[gate], emoji)

    def hear(self) -> None:
        """Read on, answer what is asked, and put time forward where nobody would sit and wait."""
        for event in self._reader.take():
            if event.notice is None:
                continue
            self._keys.setdefault(event.target or event.number, event.key)
            self.notices[event.target or event.number] = event.notice
            if event.kind is RoomKind.POST and event.notice.level is Level.PROMPT:
                self._asked(event)
        due = [skip for skip in self._skips if skip[1] in self.line(skip[0])]
        for skip in due[:1]:
            self._skips.remove(skip)
            self.sandbox.clock.advance(skip[2])

    def _asked(self, event: Event) -> None:
        gate = event.key.split(":gate:")[-1].rpartition(":")[0]
        self.prompts[gate] = event.number
        if gate.partition(":")[0] not in self.silent:
            for person in VOTERS.get(gate.partition(":")[0], ("operator",)):
                self.room.react(person, event.number, "+1")

    def until(self, what: Callable[[], object], patience: float = PATIENCE_SECONDS) -> None:
        deadline = time.monotonic() + patience
        while True:
            self.hear()
            if what():
                return
            assert time.monotonic() < deadline, f"it did not come to that:\n{self.story()}\n{self.log()}"
            time.sleep(LOOK_SECONDS)  # people look now and then

    def see(self, text: str, after: int = 0) -> int:
        """Wait until the bot has said that; the number of the message."""
        found: list[int] = []

        def seen() -> bool:
            found[:] = self.saying(text, after)
            return bool(found)

        self.until(seen)
        return found[0]

    def saying(self, text: str, after: int = 0) -> list[int]:
        """The messages that say so now, cards apart."""
        keys = self._keys
        return [n for n, one in self.notices.items() if n > after and ":card" not in keys[n] and text in shown(one)]

    def asked(self, gate: str, after: int = 0) -> int:
        """Wait until that gate is asked; the number of its prompt."""
        self.until(lambda: self.prompts.get(gate, 0) > after)
        return self.prompts[gate]

    def notice(self, number: int) -> str:
        return shown(self.notices[number])

    def card(self) -> Notice:
        cards = [number for number, key in self._keys.items() if key.endswith(":card")]
        return self.notices[cards[-1]] if cards else Notice("")

    def state(self) -> str:
        parts = self.card().title.split(" · ")
        return parts[1] if len(parts) > 1 else ""

    def line(self, title: str) -> str:
        """That step's line on the newest card."""
        return next((line for line in self.card().lines if line[2:].partition(" · ")[0] == title), "")

    def ends(self, state: str = "succeeded") -> None:
        self.until(lambda: self.state() in {"succeeded", "aborted", "failed", "unknown"})
        assert self.state() == state, self.story()

    def code(self, gate: str) -> str:
        """What people type to answer that gate."""
        return self.notice(self.prompts[gate]).partition("Digest: ")[2][:6]

    def again(self) -> None:
        """Time is put forward once more wherever nobody sits and waits."""
        self._skips = list(SKIPPED)

    def patient(self, title: str) -> None:
        """Nobody puts time forward in that step."""
        self._skips = [skip for skip in self._skips if skip[0] != title]

    def breaks(self, title: str) -> str:
        """Wait until that step is newly broken; what the alert about it says."""
        self.until(lambda: len(self.alerts(title)) > self._told.get(title, 0))
        self._told[title] = len(self.alerts(title))
        return self.alerts(title)[-1]

    def alerts(self, title: str) -> list[str]:
        """What was said each time that this step broke."""
        broken = [one for number, one in self.notices.items() if ":broken:" in self._keys[number]]
        return [shown(one) for one in broken if f"“{title}”" in one.title]

    def story(self) -> str:
        return transcript(self.room)

    def log(self) -> str:
        return (self.sandbox.folder / "bot.log").read_text(errors="replace")[-6000:]

    # ---- the world ---------------------------------------------------------------------------------------------

    def new_tags(self, repository: str) -> list[str]:
        """The tags that this day has made, in the order of their names."""
        return sorted(set(self.git(repository, "tag").splitlines()) - self._tags[repository])

    def git(self, repository: str, *words: str) -> str:
        return _git(self.sandbox.repositories[repository], *words)

    def ref(self, repository: str, ref: str = f"refs/heads/{PRODUCTION}") -> str:
        return self.git(repository, "for-each-ref", "--format=%(objectname)", ref)

    def refs(self, repository: str) -> str:
        return self.git(repository, "for-each-ref")

    def commit(self, repository: str, branch: str, path: str, text: str, subject: str) -> str:
        """Somebody pushes a commit that changes one file."""
        index = self.sandbox.folder / f"index-{time.monotonic_ns()}"
        with_index = {"GIT_INDEX_FILE": str(index)}
        folder = self.sandbox.repositories[repository]
        blob = _git(folder, "hash-object", "-w", "--stdin", given=text)
        _git(folder, "read-tree", branch, more=with_index)
        _git(folder, "update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", more=with_index)
        tree = _git(folder, "write-tree", more=with_index)
        commit = _git(folder, "commit-tree", "-m", subject, "-p", branch, tree)
        _git(folder, "update-ref", f"refs/heads/{branch}", commit)
        return commit

    def playbook_tasks(self) -> str:
        """The file with the tasks that deploy the backend."""
        return "roles/kernelci-backend/tasks/main.yml"

    def disabled(self, job: str = "kernel-tree-monitor") -> bool:
        found = self.sandbox.jenkins.world.jobs.find(job)
        assert found
        return found.config.disabled

    def builds(self, job: str) -> int:
        found = self.sandbox.jenkins.world.jobs.find(job)
        return len(found.runs) if found else 0


def shown(notice: Notice) -> str:
    return "\n".join((notice.title, *notice.lines, *(f"{field.name}: {field.value}" for field in notice.fields)))


@contextmanager
def bad_day(
    folder: Path,
    *changed: str,
    settings: Settings = QUICK,
    rate: float = 900.0,
    prepare: str = "!release prepare",
    jenkins_timeout: str = "30s",
) -> Iterator[Day]:
    """A day on which a release of these components is begun. The bot must stop well, with no bug in its log."""
    sandbox = OneWeek(folder / "kernelci", changed or RELEASED, settings, rate)
    sandbox.start()
    config = sandbox.folder / "config.yaml"
    config.write_text(config.read_text().replace("jenkins: {", f"jenkins: {{timeout: {jenkins_timeout}, "))
    day = Day(sandbox)
    try:
        day.bot.start()
        if prepare:
            day.say("operator", prepare)
        yield day
        status = day.bot.stop()
        assert status == 0, f"{status}\n{day.log()}"
        assert not re.search(r"unexpected|Traceback|could not be driven", day.log()), day.log()
    finally:
        day.bot.kill()
        sandbox.stop()
        (folder / "story.txt").write_text(day.story())


def _git(folder: Path, *words: str, given: str | None = None, more: Mapping[str, str] | None = None) -> str:
    names = {"GIT_AUTHOR_NAME": "developer", "GIT_COMMITTER_NAME": "developer"}
    mails = {"GIT_AUTHOR_EMAIL": "developer@example.org", "GIT_COMMITTER_EMAIL": "developer@example.org"}
    environment = {**os.environ, **names, **mails, **(more or {})}
    done = subprocess.run(
        ("git", "-C", str(folder), *words), input=given, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
