"""The Git adapter over SSH: a real server, its keys and ours, and connections that end when they should not."""

import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from kcibot.core.ports import GitRemote, RefUpdate, TagRef
from kcibot.errors import OutcomeUnknown, PermanentError, TransientError
from tests.servers.floor import free_port
from tests.servers.git_bare import AT, MAIN, PRODUCTION, BareServer, filled, repositories
from tests.servers.ssh import SshServer, make_key, ssh_server

GIT_ALONE = 'restrict,command="git-shell -c \\"$SSH_ORIGINAL_COMMAND\\""'
AT_ONCE = 5.0
"""Seconds: nobody was asked anything for so long."""
END_OF_SSH = """p=$$
while [ "$(cat /proc/$p/comm)" != sshd ]; do p=$(sed -n 's/^PPid:[[:space:]]*//p' /proc/$p/status); done
kill -9 $p
"""


@pytest.fixture(scope="module")
def ssh() -> Iterator[SshServer]:
    with ssh_server(key_options=GIT_ALONE) as server:
        yield server


@dataclass(frozen=True)
class Place:
    """A repository on the server, and the adapter with the key that may log in."""

    ssh: SshServer
    server: BareServer
    folder: Path
    core: GitRemote

    def at(self, name: str, **options: object) -> GitRemote:
        """The same repository with other keys, in mirrors of its own."""
        known = {"ssh_key": self.ssh.key, "known_hosts": self.ssh.known_hosts, **options}
        return repositories(self.folder / name, address(self.ssh, self.server.bare), **known).remote("core")

    def one_more(self, core: GitRemote | None = None) -> tuple[str, str]:
        old = self.server.at("main")
        return old, (core or self.core).commit(old, {"one": "x\n"}, "new", AT)


def address(ssh: SshServer, path: Path, port: int = 0) -> str:
    return f"ssh://{ssh.user}@127.0.0.1:{port or ssh.port}{path}"


@pytest.fixture
def place(ssh: SshServer, tmp_path: Path) -> Place:
    server = filled(tmp_path)
    keys = {"ssh_key": ssh.key, "known_hosts": ssh.known_hosts}
    core = repositories(tmp_path, address(ssh, server.bare), **keys).remote("core")
    return Place(ssh, server, tmp_path, core)


# ---- what works ------------------------------------------------------------------------------------------------


def test_branch_and_tag_go_together_with_a_key_whose_path_is_odd(place: Place) -> None:
    key, known = place.folder / "key with 'quote and 100%h", place.folder / "known hosts"
    shutil.copy2(place.ssh.key, key)
    known.write_text(f"# ours\n{place.ssh.host_key_line}\n")
    core = place.at("odd", ssh_key=key, known_hosts=known)
    old, new = place.one_more(core)
    tag = core.annotate("v1", new, "v1", AT)
    core.push([RefUpdate(MAIN, new, old), RefUpdate("refs/tags/v1", tag, None)])
    assert core.branches() == {"main": new, "kernelci.org": old}
    assert core.tags() == (TagRef("v1", tag, new),)
    core.fetch()
    assert core.read(new, "one") == "x\n"


def test_no_connection_is_left_behind(place: Place) -> None:
    """The user's own ssh may be told to share connections, which would outlive the push that began them."""
    place.core.fetch()
    assert not [line for line in command_lines() if b"ssh" in line[:20] and str(place.ssh.port).encode() in line]


def command_lines() -> Iterator[bytes]:
    """Of every process of this machine."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            yield path.read_bytes()


# ---- what the server refuses -----------------------------------------------------------------------------------


def test_a_server_that_lets_no_branch_go_back_is_told_from_a_moved_one(place: Place) -> None:
    place.server.git("config", "receive.denyNonFastForwards", "true", at=place.server.bare)
    old, before = place.server.at("main"), place.server.at("main~1")
    told = r"kernelci\.org .*non-fast-forward.*denying non-fast-forward.*would lose commits"
    with pytest.raises(PermanentError, match=told):
        place.core.push([RefUpdate(PRODUCTION, before, old)])
    assert place.core.branches()["kernelci.org"] == old


def test_a_second_clone_that_was_faster_is_a_moved_lease(place: Place) -> None:
    second = place.at("second")
    old, new = place.one_more()
    faster = second.commit(old, {"two": "faster\n"}, "faster", AT)
    second.push([RefUpdate(MAIN, faster, old)])
    with pytest.raises(PermanentError, match=f"main was expected at {old[:12]}, but it is at {faster[:12]}"):
        place.core.push([RefUpdate(MAIN, new, old)])


def test_an_existing_tag_is_refused_and_its_branch_stays(place: Place) -> None:
    old, new = place.one_more()
    first, second = place.core.annotate("v1", old, "v1", AT), place.core.annotate("v1", new, "v1", AT)
    place.core.push([RefUpdate("refs/tags/v1", first, None)])
    with pytest.raises(PermanentError, match="the tag v1 exists already"):
        place.core.push([RefUpdate(MAIN, new, old), RefUpdate("refs/tags/v1", second, None)])
    assert place.core.branches()["main"] == old


def test_a_key_that_is_not_listed_is_a_refused_login(place: Place) -> None:
    make_key(place.folder / "stranger")
    core = place.at("stranger's", ssh_key=place.folder / "stranger")
    for act in (core.branches, core.fetch, core.tags):
        with pytest.raises(
            PermanentError, match=r"the Git server refused the login: .*Permission denied \(publickey\)"
        ):
            act()


def test_a_key_with_a_passphrase_asks_nobody(place: Place) -> None:
    make_key(place.folder / "locked", "a passphrase")
    began = time.monotonic()
    with pytest.raises(PermanentError, match="refused the login"):
        place.at("locked-one", ssh_key=place.folder / "locked").branches()
    assert time.monotonic() - began < AT_ONCE


def test_a_key_that_others_may_read_is_a_refused_login(place: Place) -> None:
    shutil.copy(place.ssh.key, place.folder / "open")
    (place.folder / "open").chmod(0o644)
    with pytest.raises(PermanentError, match="refused the login"):
        place.at("open-one", ssh_key=place.folder / "open").branches()


def test_a_server_whose_key_is_not_known_is_not_believed_and_nobody_is_asked(place: Place) -> None:
    (place.folder / "nobody").write_text("")
    began = time.monotonic()
    told = r"the host key of the Git server is not known, so nothing was sent.*services\.git\.known_hosts"
    core = place.at("first-time", known_hosts=place.folder / "nobody")
    for act in (core.branches, core.fetch):
        with pytest.raises(PermanentError, match=told):
            act()
    assert time.monotonic() - began < AT_ONCE
    assert (place.folder / "nobody").read_text() == "", "nothing was learned on the way"


def test_a_server_that_shows_another_key_than_before_gets_nothing(place: Place) -> None:
    other = " ".join(make_key(place.folder / "imposter").split()[:2])
    (place.folder / "before").write_text(f"[127.0.0.1]:{place.ssh.port} {other}\n")
    core = place.at("imposter's", known_hosts=place.folder / "before")
    with pytest.raises(PermanentError, match=r"shows another host key than .* known.*somebody is in between"):
        core.branches()


def test_a_push_to_a_server_that_shows_another_key_is_certainly_not_done(place: Place) -> None:
    known = place.folder / "changing"
    shutil.copy(place.ssh.known_hosts, known)
    core = place.at("changing-one", known_hosts=known)
    old, new = place.one_more(core)
    known.write_text("")
    with pytest.raises(PermanentError, match="is not known, so nothing was sent"):
        core.push([RefUpdate(MAIN, new, old)])
    assert place.server.at("main") == old


def test_a_wrong_path_is_a_missing_repository(place: Place) -> None:
    url = address(place.ssh, place.folder / "absent.git")
    keys = {"ssh_key": place.ssh.key, "known_hosts": place.ssh.known_hosts}
    with pytest.raises(PermanentError, match="does not have this repository"):
        repositories(place.folder / "elsewhere", url, **keys).remote("core").branches()


def test_a_server_that_is_down_is_worth_another_try(place: Place) -> None:
    url = address(place.ssh, place.server.bare, free_port())
    with pytest.raises(TransientError, match=r"cannot be reached.*Connection refused"):
        repositories(place.folder / "down", url, ssh_key=place.ssh.key).remote("core").branches()


# ---- lost connections ------------------------------------------------------------------------------------------


def test_a_connection_lost_after_the_push_was_taken_is_done_by_looking(place: Place) -> None:
    old, new = place.one_more()
    place.server.hook("post-receive", END_OF_SSH)
    place.core.push([RefUpdate(MAIN, new, old)])
    assert place.server.at("main") == new


def test_a_connection_lost_before_the_push_was_taken_is_unknown(place: Place) -> None:
    old, new = place.one_more()
    place.server.hook("pre-receive", f"{END_OF_SSH}\nexit 1")
    with pytest.raises(OutcomeUnknown, match=f"cut off.*main is at {old[:12]}"):
        place.core.push([RefUpdate(MAIN, new, old)])
