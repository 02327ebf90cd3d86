"""The machines that production runs on, in miniature: deployed code, static files and three real services."""

import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from kcibot.sandbox import targets_control

BACKEND, CELERY, FRONTEND = "kernelci-backend", "kernelci-celery", "kernelci-frontend"
BACKEND_HOST, FRONTEND_HOST = "api.kernelci.org", "kernelci.org"
PRODUCTION = "kernelci.org"
CONTROL_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Service:
    """What a service is made of. `port` is 0 for one that takes tasks from the queue and answers nobody."""

    name: str
    repository: str
    host: str
    version_file: str
    web: bool


SERVICES = (
    Service(BACKEND, "backend", BACKEND_HOST, "app/handlers/__init__.py", web=True),
    Service(CELERY, "backend", BACKEND_HOST, "app/handlers/__init__.py", web=False),
    Service(FRONTEND, "frontend", FRONTEND_HOST, "app/dashboard/__init__.py", web=True),
)


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    """What can be known about a service: `version` and `commit` are those it read when it started last.

    `starts` counts from 1; `deployed` is the commit that is checked out now, running or not.
    """

    running: bool
    pid: int
    starts: int
    version: str
    commit: str
    deployed: str


class Targets:
    """The deploy targets below `folder`; the services belong to the machine, not to this process.

    `repositories` are those of `create_repositories`, called with the same folder as `targets`. Starting again on a
    folder that was used before keeps its ports and what is deployed.
    """

    def __init__(self, folder: Path, repositories: Mapping[str, Path]) -> None:
        self._folder = folder
        self._repositories = repositories

    def start(self) -> None:
        """Deploy the production branches, unless something is deployed, and start what does not run."""
        for name in ("srv", "www", "run", "queue", "done"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        if not (self._folder / "services.json").exists():
            self._install()
        self._control("start")

    def stop(self) -> None:
        """End every service by its recorded process id."""
        self._control("stop")

    def __enter__(self) -> "Targets":
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def url(self, name: str) -> str:
        """Where `kernelci-backend` or `kernelci-frontend` answers, without a slash at the end."""
        return f"http://127.0.0.1:{self._services()[name]['port']}"

    def facts(self, name: str) -> ServiceFacts:
        """Read from the machine itself, not over HTTP."""
        state = json.loads((self._folder / "run" / f"{name}.json").read_text())
        service = next(service for service in SERVICES if service.name == name)
        return ServiceFacts(
            running=targets_control.runs(self._folder, name),
            pid=state["pid"],
            starts=state["starts"],
            version=state["version"],
            commit=state["commit"],
            deployed=self.deployed(service.host),
        )

    def deployed(self, host: str) -> str:
        """The commit that is checked out on that host."""
        return _git(self.code(host), "rev-parse", "HEAD")

    def code(self, host: str) -> Path:
        """The host's checkout."""
        return self._folder / "srv" / host

    def static(self, host: str) -> Path:
        """The folder of the host's static files."""
        return self._folder / "www" / host / "static"

    def ping(self, task: str) -> bool:
        """Queue a task at the first call with its name; true as soon as the worker consumed it."""
        if (self._folder / "done" / f"{task}.task").exists():
            return True
        with (self._folder / "queue" / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            marker = self._folder / "queue" / f"{task}.queued"
            if not marker.exists():
                marker.touch()
                (self._folder / "queue" / f"{task}.task").touch()
        return False

    def restart(self, name: str) -> None:
        """As somebody would by hand on the machine."""
        self._control("restart", name)

    def _install(self) -> None:
        """What a first deployment does, without Ansible: it takes a tenth of the time."""
        for repository, host in (("backend", BACKEND_HOST), ("frontend", FRONTEND_HOST)):
            if not self.code(host).exists():
                options = ("--quiet", "--template=", f"--branch={PRODUCTION}")
                _git(self._folder, "clone", *options, "--", str(self._repositories[repository]), str(self.code(host)))
        static = self.code(FRONTEND_HOST) / "app" / "dashboard" / "static"
        shutil.copytree(static, self.static(FRONTEND_HOST), dirs_exist_ok=True)
        described = {
            service.name: {
                "code": str(self.code(service.host)),
                "version_file": service.version_file,
                "static": str(self.static(service.host)),
                "port": _free_port() if service.web else 0,
            }
            for service in SERVICES
        }
        fresh = self._folder / "services.new"
        fresh.write_text(json.dumps(described, indent=1))
        fresh.replace(self._folder / "services.json")

    def _services(self) -> dict[str, dict[str, str]]:
        services: dict[str, dict[str, str]] = json.loads((self._folder / "services.json").read_text())
        return services

    def _control(self, verb: str, *names: str) -> None:
        if not (self._folder / "services.json").exists():
            return
        services = names or tuple(service.name for service in SERVICES)
        argv = (sys.executable, "-IS", targets_control.__file__, str(self._folder), verb, *services)
        environment = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        done = subprocess.run(  # noqa: S603 (our own program)
            argv, env=environment, capture_output=True, text=True, timeout=CONTROL_SECONDS, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(f"the sandbox's services could not {verb}: {done.stderr.strip()}")


def _git(folder: Path, *arguments: str) -> str:
    # Inside a hook, git's own variables would name another repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    asked = ("git", *arguments)
    done = subprocess.run(  # noqa: S603 (our own words)
        asked, cwd=folder, env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def _free_port() -> int:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
