"""The Git adapter and a push to production over HTTP: nginx, Git's own backend, logins and a protected branch."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kcibot.core.ports import GitRemote, RefUpdate, TagRef
from kcibot.core.procedure import Gate, Procedure
from kcibot.core.run import RunState, StepState
from kcibot.errors import OutcomeUnknown, PermanentError, TransientError
from kcibot.sandbox.http import Fault, FaultKind
from kcibot.services.git.adapter import GitRepositories
from kcibot_commands import runs
from kcibot_commands.locks import open_production, take_production_lock
from kcibot_commands.plan.steps import plan
from kcibot_commands.production import push_core
from tests.fakes.bench import Bench
from tests.fakes.kernelci_bench import alerts, kernelci, start, with_ports
from tests.servers.floor import free_port
from tests.servers.git_bare import AT, MAIN, PRODUCTION, BareServer, filled, repositories
from tests.servers.git_http import READER, READERS_TOKEN, TOKEN, USER, GitHttp, Proxy, git_http

PUSH = "POST .*git-receive-pack"
RELEASE = Procedure("release", plan, Gate("go", "Go"), take_production_lock, push_core, open_production)


@pytest.fixture(scope="module")
def web() -> Iterator[GitHttp]:
    with git_http() as server:
        yield server


@dataclass(frozen=True)
class Place:
    """A repository on the server, and the adapter that is logged in there."""

    web: GitHttp
    server: BareServer
    folder: Path
    core: GitRemote

    def at(self, url: str, user: str = USER, token: str = TOKEN) -> GitRemote:
        """The same repository at another address, or by another login; with mirrors of its own."""
        logins = {"127.0.0.1": (user, lambda: token)}
        return repositories(self.folder / f"{user}-{abs(hash(url))}", url, logins=logins).remote("core")

    def one_more(self, core: GitRemote | None = None) -> tuple[str, str]:
        old = self.server.at("main")
        return old, (core or self.core).commit(old, {"one": "x\n"}, "new", AT)


@pytest.fixture
def place(web: GitHttp, tmp_path: Path) -> Place:
    server = filled(tmp_path)
    url = web.serve("core", server.bare)
    core = repositories(tmp_path, url, logins={"127.0.0.1": (USER, lambda: TOKEN)}).remote("core")
    return Place(web, server, tmp_path, core)


# ---- what works ------------------------------------------------------------------------------------------------


def test_branch_and_tag_are_pushed_together_and_seen_by_the_next_look(place: Place) -> None:
    old, new = place.one_more()
    tag = place.core.annotate("kernelci-20210524", new, "kernelci-20210524", AT)
    place.core.push([RefUpdate(MAIN, new, old), RefUpdate("refs/tags/kernelci-20210524", tag, None)])
    assert place.core.branches() == {"main": new, "kernelci.org": old}
    assert place.core.tags() == (TagRef("kernelci-20210524", tag, new),)
    place.core.fetch()
    assert place.core.read(new, "one") == "x\n"


def test_a_token_alone_is_given_as_the_forges_want_it(place: Place) -> None:
    core = repositories(place.folder / "other", place.web.url("core"), token=lambda: TOKEN).remote("core")
    assert core.branches() == place.core.branches()


def test_the_token_is_in_no_command_line_no_address_and_no_file(place: Place) -> None:
    """Every command line of this machine is looked at in the middle of a push."""
    place.server.hook("pre-receive", f"cat /proc/[0-9]*/cmdline > {place.folder}/cmdlines 2>/dev/null; exit 0")
    old, new = place.one_more()
    place.core.push([RefUpdate(MAIN, new, old)])
    seen = (place.folder / "cmdlines").read_bytes()
    assert b"--force-with-lease" in seen
    assert TOKEN.encode() not in seen
    assert TOKEN not in place.web.seen()
    mirrors = (path for path in (place.folder / "mirrors").rglob("*") if path.is_file())
    assert not [path for path in mirrors if TOKEN.encode() in path.read_bytes()]


# ---- what the server refuses -----------------------------------------------------------------------------------


def test_a_protected_branch_refuses_to_be_forced_and_says_so(place: Place) -> None:
    old, before = place.server.at("main"), place.server.at("main~1")
    told = r"kernelci\.org.*declined.*protected branch: non-fast-forward.*would lose commits.*or take the changes back"
    with pytest.raises(PermanentError, match=told):
        place.core.push([RefUpdate(PRODUCTION, before, old)])
    assert place.core.branches()["kernelci.org"] == old


def test_an_ordinary_push_to_a_protected_branch_is_taken(place: Place) -> None:
    old, new = place.one_more()
    place.core.push([RefUpdate(PRODUCTION, new, old)])
    assert place.server.at("kernelci.org") == new


def test_a_second_clone_that_was_faster_is_a_moved_lease(place: Place) -> None:
    old, new = place.one_more()
    second = place.at(place.web.url("core"), "x-access-token")
    faster = second.commit(old, {"two": "faster\n"}, "faster", AT)
    second.push([RefUpdate(MAIN, faster, old)])
    with pytest.raises(PermanentError, match=f"main was expected at {old[:12]}, but it is at {faster[:12]}"):
        place.core.push([RefUpdate("refs/heads/review", new, None), RefUpdate(MAIN, new, old)])
    assert place.core.branches() == {"main": faster, "kernelci.org": old}


def test_an_existing_tag_is_refused_and_its_branch_stays(place: Place) -> None:
    old, new = place.one_more()
    first, second = place.core.annotate("v1", old, "v1", AT), place.core.annotate("v1", new, "v1", AT)
    place.core.push([RefUpdate("refs/tags/v1", first, None)])
    with pytest.raises(PermanentError, match="the tag v1 exists already"):
        place.core.push([RefUpdate(MAIN, new, old), RefUpdate("refs/tags/v1", second, None)])
    assert place.core.branches()["main"] == old


def test_a_wrong_token_is_a_refused_login_and_is_not_shown(place: Place) -> None:
    core = place.at(place.web.url("core"), USER, "of-yesterday")
    for act in (core.branches, core.fetch, core.tags):
        with pytest.raises(PermanentError, match="the Git server refused the login: fatal: Authentication") as failure:
            act()
        assert "of-yesterday" not in str(failure.value)


def test_a_login_that_may_only_read_pushes_nothing(place: Place) -> None:
    reader = place.at(place.web.url("core"), READER, READERS_TOKEN)
    old, new = place.one_more(reader)
    with pytest.raises(PermanentError, match=r"nothing was pushed.*reader has no write access"):
        reader.push([RefUpdate(MAIN, new, old)])
    assert place.server.at("main") == old


def test_a_repository_that_takes_no_pushes_is_a_refused_login(place: Place) -> None:
    old, new = place.one_more()
    place.server.git("config", "http.receivepack", "false", at=place.server.bare)
    with pytest.raises(PermanentError, match=r"refused the login.*403"):
        place.core.push([RefUpdate(MAIN, new, old)])


def test_a_push_that_is_too_large_for_the_server_is_no_cut_connection(place: Place) -> None:
    old, new = place.one_more()
    url, logins = place.web.url("core", "small"), {"127.0.0.1": (USER, lambda: TOKEN)}
    small = repositories(place.folder, url, logins=logins).remote("core")  # with the mirror that is filled already
    with pytest.raises(PermanentError, match=r"the push is larger than it takes \(HTTP 413\)"):
        small.push([RefUpdate(MAIN, new, old)])
    assert place.server.at("main") == old


def test_a_token_is_not_carried_to_where_the_server_points(place: Place) -> None:
    moved = place.at(place.web.url("core", "moved"))
    with pytest.raises(PermanentError, match="another address now, and no redirection is followed"):
        moved.branches()


def test_a_repository_that_is_not_there_is_said_to_be_missing(place: Place) -> None:
    with pytest.raises(PermanentError, match="does not have this repository"):
        place.at(place.web.url("absent")).branches()


# ---- lost connections ------------------------------------------------------------------------------------------


@pytest.fixture
def proxy(place: Place) -> Iterator[Proxy]:
    with Proxy(place.web.url("core")) as between:
        yield between


@pytest.mark.parametrize("times", [1, 2])
def test_a_push_whose_answer_is_lost_is_done_if_it_is_there(place: Place, proxy: Proxy, times: int) -> None:
    """Once, it is sent again by itself and then refused, since the branch has moved: by its own first sending."""
    core = place.at(f"{proxy.url}/git/core.git")
    old, new = place.one_more(core)
    tag = core.annotate("v1", new, "v1", AT)
    proxy.faults.add(Fault(FaultKind.RESET_AFTER, PUSH, times=times))
    core.push([RefUpdate(MAIN, new, old), RefUpdate("refs/tags/v1", tag, None)])
    assert [request.path for request in proxy.requests].count("/git/core.git/git-receive-pack") == 2
    assert (place.server.at("main"), place.server.at("v1")) == (new, tag)


@pytest.mark.parametrize("kind", [FaultKind.RESET_BEFORE, FaultKind.STATUS])
def test_a_push_that_broke_off_and_is_not_there_is_unknown(place: Place, proxy: Proxy, kind: FaultKind) -> None:
    core = place.at(f"{proxy.url}/git/core.git")
    old, new = place.one_more(core)
    proxy.faults.add(Fault(kind, PUSH, times=2 if kind is FaultKind.RESET_BEFORE else 1, status=502))
    with pytest.raises(OutcomeUnknown, match=f"cut off.*main is at {old[:12]}"):
        core.push([RefUpdate(MAIN, new, old)])
    core.push([RefUpdate(MAIN, new, old)])
    assert place.server.at("main") == new


@pytest.mark.parametrize("times", [1, 2])
def test_a_push_whose_server_is_gone_after_it_cannot_be_told(place: Place, proxy: Proxy, times: int) -> None:
    core = place.at(f"{proxy.url}/git/core.git")
    old, new = place.one_more(core)
    proxy.faults.add(Fault(FaultKind.RESET_AFTER, PUSH, times=times))
    proxy.faults.add(Fault(FaultKind.STATUS, "GET .*info/refs", times=9, skip=2, status=503))
    with pytest.raises(OutcomeUnknown, match=r"may or may not have arrived|cannot be seen now"):
        core.push([RefUpdate(MAIN, new, old)])


def test_a_server_that_is_down_is_worth_another_try(place: Place) -> None:
    down = place.at(f"http://127.0.0.1:{free_port()}/git/core.git")
    for act in (down.branches, down.fetch, down.tags):
        with pytest.raises(TransientError, match="cannot be reached"):
            act()


# ---- a release -------------------------------------------------------------------------------------------------


def test_a_release_that_a_protected_branch_refuses_has_pushed_nothing_and_goes_on_when_it_is_let(
    web: GitHttp, tmp_path: Path
) -> None:
    with kernelci(tmp_path) as world:
        urls = {name: str(bare) for name, bare in world.repositories.items()}
        urls["core"] = web.serve("core", world.repositories["core"])
        logins = {"127.0.0.1": (USER, lambda: TOKEN)}
        git = GitRepositories(urls, tmp_path / "over-http", "kcibot", "bot@example.org", logins=logins)
        alone = world.commit("core", {"FIXUP": "by hand\n"}, "FIXUP only here", branch="kernelci.org")
        bench = world.bench(runs, ports=with_ports(world.ports, git=git))
        start(bench, RELEASE)
        bench.react("manager-1", "run:1:gate:go:1")
        forced(bench, 1)
        run = bench.run()
        assert (run.state, run.step("push-core").state) == (RunState.FAILED, StepState.FAILED)
        told = alerts(bench)
        assert re.search(r"protected branch: non-fast-forward.*kernelci\.org would lose commits", told)
        assert TOKEN not in told
        assert world.head("core", "kernelci.org") == alone
        assert bench.journal.recall("moved") == {}, "what was refused is nothing that a rollback would take back"
        world.hook("core", "update", "exit 0")
        bench.say("operator", "!release retry push-core")
        forced(bench, 2)
        assert bench.run().state is RunState.SUCCEEDED
        assert world.head("core", "kernelci.org") == world.head("core")


def forced(bench: Bench, time: int) -> None:
    for manager in ("manager-1", "manager-2"):
        bench.react(manager, f"run:1:gate:force:push-core:{time}")
