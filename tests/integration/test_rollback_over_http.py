"""A rollback over real HTTP: a forge that protects the production branch is told apart, and nothing is claimed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kcibot.core.ports import GitRemote, Ports
from kcibot.core.run import RunState, StepState
from kcibot.services.git.adapter import GitRepositories
from tests.fakes.kernelci_bench import PRODUCTION, alerts, with_ports
from tests.fakes.rollback_bench import Yard, approve, asked, gone_on, released, texts, yard
from tests.servers.git_http import TOKEN, USER, GitHttp, git_http


@pytest.fixture(scope="module")
def server() -> Iterator[GitHttp]:
    with git_http() as made:
        yield made


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Yard]:
    with yard(tmp_path) as made:
        yield made


class CoreOver:
    """A Git host whose core repository is on that server; the others are where they were."""

    def __init__(self, ports: Ports, core: GitRepositories) -> None:
        self._others, self._core = ports.git, core

    def remote(self, name: str) -> GitRemote:
        return self._core.remote(name) if name == "core" else self._others.remote(name)

    def names(self) -> tuple[str, ...]:
        return self._others.names()


def test_a_branch_that_the_forge_protects_goes_back_when_people_have_unprotected_it(
    there: Yard, server: GitHttp
) -> None:
    place, bare = there.place, there.place.repositories["core"]
    url = server.serve("core", bare)
    logins = {"127.0.0.1": (USER, lambda: TOKEN)}
    core = GitRepositories({"core": url}, place.folder / "http", "kcibot", "bot@example.org", logins=logins)
    bench = there.bench(ports=with_ports(there.ports, git=CoreOver(there.ports, core)))
    old = place.head("core", PRODUCTION)
    assert released(bench).state is RunState.SUCCEEDED, alerts(bench)
    new = place.head("core", PRODUCTION)
    run = approve(bench, asked(bench))
    assert run.step("core-back").state is StepState.FAILED
    told = alerts(bench)
    assert "protected branch: non-fast-forward push to refs/heads/kernelci.org refused" in told
    assert "lift its protection and say !release retry" in told
    assert TOKEN not in told
    assert place.head("core", PRODUCTION) == new
    (bare / "hooks" / "update").unlink()
    bench.say("operator", "!release retry")
    run = gone_on(bench, run)
    assert run.state is RunState.SUCCEEDED, texts(run)
    assert place.head("core", PRODUCTION) == old
