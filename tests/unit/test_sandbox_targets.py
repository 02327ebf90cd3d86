"""The sandbox's deploy targets: real processes that show a new version only after a restart."""

import http.client
import json
import os
import shutil
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kcibot.sandbox.repositories import create_repositories
from kcibot.sandbox.targets import BACKEND, BACKEND_HOST, CELERY, FRONTEND, FRONTEND_HOST, Targets

NOW = datetime(2021, 5, 24, 9, 0, tzinfo=UTC)
VERSION_FILE = "app/handlers/__init__.py"


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    return create_repositories(tmp_path_factory.mktemp("sandbox") / "repositories", NOW)


@pytest.fixture
def targets(paths: Mapping[str, Path], tmp_path: Path) -> Iterator[Targets]:
    with Targets(tmp_path / "targets", paths) as targets:
        yield targets


def asked(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 (loopback)
        return str(answer.read().decode())


def version(targets: Targets, name: str) -> str:
    return str(json.loads(asked(f"{targets.url(name)}/version"))["result"][0]["version"])


def wait_until(condition: Callable[[], bool], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "this never became true"
        threading.Event().wait(0.02)


def test_the_production_branches_are_deployed_and_answer(targets: Targets) -> None:
    assert version(targets, BACKEND) == "2021.5.0"
    assert version(targets, FRONTEND) == targets.facts(FRONTEND).version
    assert f"kernelci-frontend/tree/{version(targets, FRONTEND)}" in asked(targets.url(FRONTEND))
    for name in (BACKEND, CELERY, FRONTEND):
        facts = targets.facts(name)
        assert (facts.running, facts.starts, facts.commit) == (True, 1, facts.deployed)
    assert "require.config" in asked(f"{targets.url(FRONTEND)}/static/js/common.js")


def test_only_a_restart_shows_a_new_version_on_the_same_port(targets: Targets) -> None:
    file = targets.code(BACKEND_HOST) / VERSION_FILE
    file.write_text(file.read_text().replace("2021.5.0", "2021.5.1"))
    url, before = targets.url(BACKEND), targets.facts(BACKEND)
    assert version(targets, BACKEND) == "2021.5.0"
    targets.restart(BACKEND)
    after = targets.facts(BACKEND)
    assert (version(targets, BACKEND), targets.url(BACKEND)) == ("2021.5.1", url)
    assert after.pid != before.pid
    assert (after.starts, targets.facts(CELERY).starts) == (2, 1)


def test_a_task_is_consumed_while_the_worker_runs_and_waits_while_it_hangs(targets: Targets) -> None:
    targets.ping("one")
    wait_until(lambda: targets.ping("one"))
    os.kill(targets.facts(CELERY).pid, signal.SIGSTOP)
    assert not targets.ping("two")
    assert not targets.ping("two")
    targets.restart(CELERY)  # a hanging worker is killed
    wait_until(lambda: targets.ping("two"))


def test_a_service_that_died_is_seen_and_started_again(targets: Targets) -> None:
    os.kill(targets.facts(BACKEND).pid, signal.SIGKILL)
    wait_until(lambda: not targets.facts(BACKEND).running)
    targets.start()
    assert targets.facts(BACKEND).running
    assert targets.facts(FRONTEND).starts == 1


def test_after_stop_nothing_runs_and_a_new_start_keeps_ports_and_code(
    targets: Targets, paths: Mapping[str, Path], tmp_path: Path
) -> None:
    url = targets.url(BACKEND)
    (targets.static(FRONTEND_HOST) / "old.js").write_text("old")
    targets.stop()
    assert not any(targets.facts(name).running for name in (BACKEND, CELERY, FRONTEND))
    with pytest.raises(urllib.error.URLError):
        asked(f"{url}/version")
    again = Targets(tmp_path / "targets", paths)
    again.start()
    assert again.url(BACKEND) == url
    assert asked(f"{again.url(FRONTEND)}/static/old.js") == "old"
    again.stop()


def test_files_outside_the_static_folder_are_not_served(targets: Targets) -> None:
    for path in ("/static/../../../services.json", "/static/%2e%2e/%2e%2e/%2e%2e/services.json", "/other"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            asked(targets.url(FRONTEND) + path)


def test_a_sandbox_that_is_deleted_leaves_nothing_running(paths: Mapping[str, Path], tmp_path: Path) -> None:
    targets = Targets(tmp_path / "targets", paths)
    targets.start()
    url = targets.url(BACKEND)
    shutil.rmtree(tmp_path / "targets")

    def gone() -> bool:
        try:
            asked(f"{url}/version")
        except (OSError, http.client.HTTPException):  # it may end in the middle of an answer
            return True
        return False

    wait_until(gone)
