"""Did a release really happen? Asked of the sandbox's servers, repositories and machines, never of the bot."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass

from kcibot.sandbox.jenkins.model import UserCause
from kcibot.sandbox.kernelci.world import PRODUCTION, TREE, Sandbox
from kcibot.sandbox.targets import BACKEND, BACKEND_HOST, CELERY, FRONTEND, FRONTEND_HOST

RELEASED = ("core", "backend", "frontend", "jenkins")
MONITOR = "kernel-tree-monitor"
TRIGGER = "kernel-build-trigger"
NEW_PARAMETER = "NODE_LABEL"


@dataclass(frozen=True)
class Before:
    """How things were before the release."""

    refs: dict[str, dict[str, str]]
    digests: dict[str, str | None]
    starts: dict[str, int]
    kernel_head: str


class Proof:
    """Made before a release; afterwards `missing` names everything that should have happened and did not."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.checked = 0
        self._before = Before(
            refs={name: self._refs(name) for name in sandbox.repositories},
            digests={name: sandbox.registry.digest(name) for name in sandbox.registry.names()},
            starts={name: sandbox.targets.facts(name).starts for name in (BACKEND, CELERY, FRONTEND)},
            kernel_head=sandbox.backend.head("linux", PRODUCTION),
        )

    def missing(self) -> list[str]:
        checks: tuple[Callable[[], list[tuple[str, bool]]], ...] = (
            self._repositories,
            self._mail,
            self._jenkins,
            self._images,
            self._machines,
            self._pipe_cleaner,
        )
        facts = [fact for check in checks for fact in check()]
        self.checked = len(facts)
        return [sentence for sentence, holds in facts if not holds]

    def _repositories(self) -> list[tuple[str, bool]]:
        facts = []
        for name in RELEASED:
            before, after = self._before.refs[name], self._refs(name)
            new = {ref: sha for ref, sha in after.items() if ref.startswith("refs/tags/") and ref not in before}
            head = after[f"refs/heads/{PRODUCTION}"]
            kinds = {self._git(name, "cat-file", "-t", ref) for ref in new}
            moved = [ref for ref in before if ref.startswith("refs/tags/") and after.get(ref) != before[ref]]
            facts += [
                (f"{name}: exactly one new tag, annotated", len(new) == 1 and kinds == {"tag"}),
                (
                    f"{name}: the tag is on the development branch's head",
                    self._peeled(name, new) == {after["refs/heads/main"]},
                ),
                (f"{name}: the production branch is exactly the tag", self._peeled(name, new) == {head}),
                (f"{name}: no old tag was moved", not moved),
            ]
        return facts

    def _mail(self) -> list[tuple[str, bool]]:
        messages = self._sandbox.mailbox.messages
        tag = next(iter(self._new_tags("core")), "").removeprefix("refs/tags/")
        return [
            ("exactly one announcement was sent", len(messages) == 1),
            ("the announcement names the release", bool(messages and tag) and tag in messages[0].text),
        ]

    def _jenkins(self) -> list[tuple[str, bool]]:
        jobs = self._sandbox.jenkins.world.jobs
        monitor = jobs.find(MONITOR)
        live = {name: jobs.find(name) for name in self._sandbox.backend.definitions()}
        asked = self._asked_of_the_monitor()
        return [
            ("the monitor is enabled again", monitor is not None and not monitor.config.disabled),
            ("every job of the definitions exists", all(job is not None for job in live.values())),
            (
                "kernel-build has its new parameter",
                NEW_PARAMETER in (live["kernel-build"].xml if live["kernel-build"] else ""),
            ),
            ("the monitor was started once for the pipe cleaner", asked.count(TREE) == 1),
            ("the monitor was started once for everything", asked.count("") == 1),
        ]

    def _asked_of_the_monitor(self) -> list[str]:
        """The CONFIG_LIST of every build of the monitor that the bot asked for: its timer starts others."""
        monitor = self._sandbox.jenkins.world.jobs.find(MONITOR)
        runs = monitor.runs.values() if monitor else ()
        mine = [run for run in runs if any(isinstance(cause, UserCause) for cause in run.causes)]
        return [next((p.value for p in run.parameters if p.name == "CONFIG_LIST"), "") for run in mine]

    def _images(self) -> list[tuple[str, bool]]:
        changed = [n for n, old in self._before.digests.items() if self._sandbox.registry.digest(n) != old]
        pushes = [push.name for push in self._sandbox.engine.pushes]
        return [
            ("images were built and pushed", bool(changed)),
            ("each image was pushed once", len(pushes) == len(set(pushes))),
        ]

    def _machines(self) -> list[tuple[str, bool]]:
        facts = []
        for name, repository, host in ((BACKEND, "backend", BACKEND_HOST), (FRONTEND, "frontend", FRONTEND_HOST)):
            service = self._sandbox.targets.facts(name)
            tag = next(iter(self._new_tags(repository)), "").removeprefix("refs/tags/")
            head = self._sandbox.backend.head(repository, PRODUCTION)
            facts += [
                (f"{name} runs version {tag}", service.running and service.version == tag),
                (f"{name} runs the production branch", service.commit == head == self._sandbox.targets.deployed(host)),
                (f"{name} was restarted", service.starts > self._before.starts[name]),
            ]
        celery = self._sandbox.targets.facts(CELERY)
        facts.append(
            (f"{CELERY} was restarted and runs", celery.running and celery.starts > self._before.starts[CELERY])
        )
        return facts

    def _pipe_cleaner(self) -> list[tuple[str, bool]]:
        head = self._sandbox.backend.head("linux", PRODUCTION)
        mine = [run for run in self._builds(TRIGGER) if run.get("BUILD_CONFIG") == TREE]
        counts = self._sandbox.api.counts()
        return [
            ("the kernel's production branch moved", head != self._before.kernel_head),
            ("the pipe cleaner was built exactly once", len(mine) == 1),
            ("the backend has its results", counts.jobs >= 2 and counts.builds >= 400),  # noqa: PLR2004 (with the baseline's)
        ]

    # ---- looking -----------------------------------------------------------------------------------------------

    def _builds(self, job: str) -> list[dict[str, str]]:
        found = self._sandbox.jenkins.world.jobs.find(job)
        runs = found.runs.values() if found else ()
        return [{p.name: p.value for p in run.parameters} for run in runs]

    def _refs(self, repository: str) -> dict[str, str]:
        rows = self._git(repository, "for-each-ref", "--format=%(refname) %(objectname)").splitlines()
        return dict(row.split(" ", 1) for row in rows)

    def _new_tags(self, repository: str) -> list[str]:
        before = self._before.refs[repository]
        return [ref for ref in self._refs(repository) if ref.startswith("refs/tags/") and ref not in before]

    def _peeled(self, repository: str, tags: dict[str, str]) -> set[str]:
        return {self._git(repository, "rev-parse", f"{tag}^{{commit}}") for tag in tags}

    def _git(self, repository: str, *words: str) -> str:
        argv = ("git", "-C", str(self._sandbox.repositories[repository]), *words)
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603 (our own words)
