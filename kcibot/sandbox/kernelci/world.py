"""KernelCI in miniature, put together: every server, the repositories, the machines, and the bot's configuration."""

import hashlib
import subprocess
import sys
from collections.abc import Mapping, Sequence, Set
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import yaml

from kcibot.core.ports import Revision
from kcibot.core.ports.labs import DeviceStatus
from kcibot.sandbox.clock import SandboxClock
from kcibot.sandbox.config_text import Network, config_text
from kcibot.sandbox.docker_engine.engine import DockerEngineStandIn
from kcibot.sandbox.http import Fault, FaultKind
from kcibot.sandbox.jenkins import JenkinsStandIn
from kcibot.sandbox.kernelci.boards import Board, boards
from kcibot.sandbox.kernelci.jobs import KernelciJobs
from kcibot.sandbox.kernelci.kernels import Kernel
from kcibot.sandbox.kernelci.settings import Settings, among
from kcibot.sandbox.labs import LavaStandIn
from kcibot.sandbox.mailbox import MailboxStandIn
from kcibot.sandbox.registry import RegistryStandIn
from kcibot.sandbox.report_inbox import ReportInboxStandIn
from kcibot.sandbox.repositories import create_repositories
from kcibot.sandbox.results_api import ResultsApiStandIn
from kcibot.sandbox.storage import StorageStandIn
from kcibot.sandbox.targets import BACKEND, FRONTEND, Targets

TREE = "kernelci"
"""The tree whose repository is in the sandbox; of all others only the names are."""
PRODUCTION = "kernelci.org"
STABLE = ("stable", "linux-5.10.y")
STABLE_RELEASES = ("v5.10.79", "v5.10.80")
"""What production has built of the stable tree, last."""
CONFIGS = "config/core/build-configs.yaml"
CONFIGS_2019 = "build-configs.yaml"
JENKINS_USER = "kcibot"
LAB_USER = "kernel-ci"
LAB_MINUTES = 15.0
REPORT_MINUTES = {"baseline": 30, "igt": 45, "v4l2-compliance-vivid": 45}
"""How long after the builds the mails of test plans are sent; that of the builds is sent at once."""
SECRETS = {
    "jenkins-token": "11" + "0" * 30 + "ab",
    "api-token": "5e0b8f7a-0000-4000-8000-a91f0c3d2b61",
    "lab-token": "lab0" + "7" * 28,
    "inbox-password": "inbox-" + "5" * 20,
}
IMAGES = ("build-base", "build-gcc-10_x86", "build-gcc-10_arm64", "build-clang-11", "debos", "build-qemu")


class Server(Protocol):
    """Whatever is started and stopped."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


class Backend:
    """Fulfils `behaviours.Backend` over the sandbox's own repositories and servers."""

    def __init__(
        self,
        repositories: Mapping[str, Path],
        api: ResultsApiStandIn,
        storage: StorageStandIn,
        labs: Mapping[str, LavaStandIn],
    ) -> None:
        self._labs = labs
        self._repositories = repositories
        self._api = api
        self._storage = storage
        self._commits: dict[Revision, str] = {}
        self._configs_of: dict[str, Mapping[str, Mapping[str, Any]]] = {}

    def build_configs(self) -> Sequence[str]:
        return sorted(self._configs())

    def branch_head(self, build_config: str) -> str:
        config = self._configs()[build_config]
        if config["tree"] != TREE:
            return hashlib.sha1(build_config.encode(), usedforsecurity=False).hexdigest()
        return self.head("linux", str(config["branch"]))

    def revision(self, build_config: str, commit: str) -> Revision:
        config = self._configs()[build_config]
        kernel = self._git("linux", "describe", "--tags", commit) if config["tree"] == TREE else f"v5.12-{commit[:12]}"
        revision = Revision(str(config["tree"]), str(config["branch"]), kernel)
        self._commits[revision] = commit
        return revision

    def last_commit(self, build_config: str) -> str | None:
        found = self._storage.read(self._last_commit(build_config))
        return found.decode().strip() if found else None

    def set_last_commit(self, build_config: str, commit: str) -> None:
        self._storage.put(self._last_commit(build_config), commit.encode())

    def job_definitions(self) -> str:
        return self.head("jenkins", PRODUCTION)

    def definitions(self) -> Mapping[str, str]:
        paths = self._git("jenkins", "ls-tree", "-r", "--name-only", PRODUCTION, "jobs/").splitlines()
        return {Path(path).stem: self._git("jenkins", "show", f"{PRODUCTION}:{path}") for path in paths}

    def post_kernel(self, revision: Revision, kernel: Kernel, status: str, warnings: int) -> None:
        names = (revision.tree, revision.branch, revision.kernel)
        self._api.post_kernel(*names, self._commits.get(revision, ""), *kernel, status, warnings=warnings)

    def revision_done(self, revision: Revision, lost: Set[str]) -> None:
        names = (revision.tree, revision.branch, revision.kernel)
        self._api.revision_done(*names, report="build" not in lost)
        for plan, minutes in REPORT_MINUTES.items():
            if plan not in lost:
                self._api.schedule_report(*names, "test", plan, timedelta(minutes=minutes))

    def post_tests(self, revision: Revision, board: Board, plan: str, statuses: Mapping[str, str]) -> None:
        names = (revision.tree, revision.branch, revision.kernel)
        self._api.post_tests(*names, *board, plan, 0, 0, cases=statuses)

    def submit(self, lab: str, device: str, description: str, runs: timedelta) -> None:
        self._labs[lab].submit(description, device, waits=runs / 5, runs=runs * 4 / 5)

    def upload(self, path: str, content: bytes) -> None:
        self._storage.put(path, content)

    def head(self, repository: str, branch: str) -> str:
        """The branch's commit, read from the repository's own files: Jenkins asks hundreds of times at once."""
        folder, ref = self._repositories[repository], f"refs/heads/{branch}"
        if (folder / ref).exists():
            return (folder / ref).read_text().strip()
        packed = (folder / "packed-refs").read_text().splitlines() if (folder / "packed-refs").exists() else []
        for row in packed:
            if row.endswith(f" {ref}"):
                return row.split(" ")[0]
        raise LookupError(f"{repository} has no branch {branch}")

    def _configs(self) -> Mapping[str, Mapping[str, Any]]:
        """What the jobs clone: the production branch's build configs."""
        head = self.head("core", PRODUCTION)
        if head not in self._configs_of:
            self._configs_of = {head: self._read_configs()}
        return self._configs_of[head]

    def _read_configs(self) -> Mapping[str, Mapping[str, Any]]:
        files = self._git("core", "ls-tree", "-r", "--name-only", PRODUCTION).splitlines()
        path = CONFIGS if CONFIGS in files else CONFIGS_2019
        loaded = yaml.load(self._git("core", "show", f"{PRODUCTION}:{path}"), Loader=yaml.CSafeLoader)
        configs: Mapping[str, Mapping[str, Any]] = loaded["build_configs"]
        return configs

    def _last_commit(self, build_config: str) -> str:
        return f"{self._configs()[build_config]['tree']}/last-commit_{build_config}"

    def _git(self, repository: str, *words: str) -> str:
        argv = ("git", "-C", str(self._repositories[repository]), *words)
        done = subprocess.run(argv, capture_output=True, text=True, check=False)  # noqa: S603 (our own words)
        if done.returncode:
            raise LookupError(f"{repository}: {done.stderr.strip()}")
        return done.stdout.strip()


def make_labs(clock: SandboxClock, settings: Settings) -> Mapping[str, LavaStandIn]:
    """One for every lab that tests kernels, with a board of each type that it is asked for."""
    labs: dict[str, LavaStandIn] = {}
    for board in boards(settings.farm):
        lab = labs.setdefault(board.lab, LavaStandIn(board.lab, LAB_USER, SECRETS["lab-token"], clock))
        offline = among(settings.faults.boards, board)
        lab.add_device(f"{board.device}-01", board.device, DeviceStatus.OFFLINE if offline else DeviceStatus.IDLE)
    for name in settings.faults.labs:
        labs[name].faults.add(Fault(FaultKind.STATUS, times=sys.maxsize, status=502))
    return labs


class Sandbox:
    """All of it in one folder. Started again on the same folder, it goes on with its repositories and its room.

    `networks` are further chat networks of the bot.
    """

    def __init__(
        self,
        folder: Path,
        rate: float,
        real_yaml: Path | None = None,
        settings: Settings | None = None,
        begins: datetime | None = None,
        networks: Sequence[Network] = (),
    ) -> None:
        self.folder = folder
        self._networks = networks
        folder.mkdir(parents=True, exist_ok=True)
        self.clock = SandboxClock.create(folder / "clock.json", rate, begins)
        self.repositories = self._repositories(real_yaml)
        self.targets = Targets(folder / "targets", self.repositories)
        self.targets.start()
        self.inbox = ReportInboxStandIn((folder / "inbox").resolve(), SECRETS["inbox-password"])
        self.api = ResultsApiStandIn(
            SECRETS["api-token"],
            self._backend_version,
            ping=self.targets.ping,
            now=self.clock.now,
            mailed=self.inbox.deliver,
        )
        self.inbox.before_look = self.api.deliver_reports
        self.storage = StorageStandIn(folder / "storage")
        self.mailbox = MailboxStandIn()
        self.registry = RegistryStandIn()
        self.engine = DockerEngineStandIn(self.registry, self.clock)
        self.jenkins = JenkinsStandIn(self.clock, JENKINS_USER, SECRETS["jenkins-token"])
        self._settings = settings or Settings()
        self.labs = make_labs(self.clock, self._settings)
        self.backend = Backend(self.repositories, self.api, self.storage, self.labs)

    def start(self) -> None:
        """Everything answers when this returns, and a build of the monitor's is under way."""
        for server in self._servers():
            server.start()
        for image in IMAGES:
            self.engine.seed(f"kernelci/{image}")
        for config in self.backend.build_configs():
            self.backend.set_last_commit(config, self.backend.branch_head(config))
        self.jobs = KernelciJobs.install(self.jenkins, self.backend, self._settings)
        self.jobs.start_ambient()
        self.jobs.past_run(self.baseline)
        for kernel in STABLE_RELEASES:
            self.api.preload(*STABLE, kernel, kernels=201, labs=8)
        self.write_config()

    def stop(self) -> None:
        for server in reversed(self._servers()):
            server.stop()
        self.targets.stop()

    def _servers(self) -> Sequence[Server]:
        """In the order in which they start: the others use those before them."""
        first = (self.api, self.inbox, self.storage, self.mailbox, self.registry)
        return [*first, *self.labs.values(), self.jenkins, self.engine]

    def keep_busy(self, minutes: float) -> None:
        """A build that the monitor started, over after so many minutes of the sandbox's; the labs take longer."""
        self.jobs.start_ambient(minutes)
        for lab, device in boards(self._settings.farm):
            self.backend.submit(lab, device, "baseline of another tree", timedelta(minutes=minutes + LAB_MINUTES))

    @property
    def baseline(self) -> Revision:
        """The revision of the last good pipe cleaner, whose results are there."""
        head = self.backend.head("linux", PRODUCTION)
        return self.backend.revision(TREE, head)

    def write_config(self) -> Path:
        """The bot's configuration for this sandbox, with its secrets in files."""
        for name, value in SECRETS.items():
            secret = self.folder / "secrets" / name
            secret.parent.mkdir(mode=0o700, exist_ok=True)
            secret.write_text(value)
            secret.chmod(0o600)
        path = self.folder / "config.yaml"
        path.write_text(self._config())
        return path

    def _config(self) -> str:
        return config_text(
            repositories=self.repositories,
            jenkins=self.jenkins.url,
            engine=self.engine.url,
            registry=self.registry.url,
            prefix=self.registry.prefix,
            mail_port=self.mailbox.port,
            archive=self.mailbox.archive_url,
            inbox=self.inbox.place,
            api=self.api.url,
            backend=self.targets.url(BACKEND),
            frontend=self.targets.url(FRONTEND),
            storage=self.storage.url,
            labs={name: lab.url for name, lab in self.labs.items()},
            lab_user=LAB_USER,
            networks=self._networks,
            user=JENKINS_USER,
            baseline=self.baseline.kernel,
        )

    def _repositories(self, real_yaml: Path | None) -> Mapping[str, Path]:
        folder = self.folder / "repositories"
        if folder.exists():
            return {path.stem: path for path in sorted(folder.glob("*.git"))}
        return create_repositories(folder, datetime.now(UTC), real_yaml, self.folder / "targets")

    def _backend_version(self) -> str:
        return self.targets.facts(BACKEND).version
