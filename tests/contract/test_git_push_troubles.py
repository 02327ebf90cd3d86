"""Pushes that go wrong in ways which look alike: whether one arrived is never guessed from a server's words."""

import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kcibot.core.ports import GitRemote, RefUpdate
from kcibot.errors import ConfigError, OutcomeUnknown, PermanentError, TransientError
from kcibot.sandbox.http import Request, Response, StandIn
from kcibot.services.git import push as git_push
from kcibot.services.git.login import Credentials
from kcibot.services.git.words import quoted, unreached
from tests.servers.git_bare import AT, MAIN, BareServer, filled, repositories

# Speaks for the real server up to the moment when the push was taken, and then only part of its report, or none.
FALSE_SSH = """#!{python}
import subprocess, sys
command = sys.argv[-1]
if "receive-pack" not in command:
    sys.exit(subprocess.call(["sh", "-c", command]))
server = subprocess.Popen(["sh", "-c", command], stdout=subprocess.PIPE)
out = sys.stdout.buffer
def line():
    head = server.stdout.read(4)
    return head if head in (b"0000", b"") else head + server.stdout.read(int(head, 16) - 4)
while True:
    one = line()
    out.write(one)
    out.flush()
    if one in (b"0000", b""):
        break
server.stdout.read()
server.wait()
{end}
"""
NO_REPORT = """report = b"000eunpack ok\\n0000"
out.write(b"%04x\\x01" % (len(report) + 5) + report + b"0000")
out.flush()
"""
CUT = """sys.stderr.write("Read from remote host git.example.org: Connection timed out\\n")
sys.exit(255)
"""


@pytest.fixture
def server(tmp_path: Path) -> BareServer:
    return filled(tmp_path)


@pytest.fixture
def core(server: BareServer, tmp_path: Path) -> GitRemote:
    return repositories(tmp_path, str(server.bare)).remote("core")


def one_more(server: BareServer, core: GitRemote) -> tuple[str, str]:
    old = server.at("main")
    return old, core.commit(old, {"one": "x\n"}, "new", AT)


def over_false_ssh(server: BareServer, folder: Path, monkeypatch: pytest.MonkeyPatch, end: str) -> GitRemote:
    return over_ssh(server, folder, monkeypatch, FALSE_SSH.format(python=sys.executable, end=end))


def over_ssh(server: BareServer, folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> GitRemote:
    program = folder / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(text)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return repositories(folder, f"ssh://git.example.org{server.bare}").remote("core")


# ---- taken, and not said ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [NO_REPORT, CUT], ids=["no report", "connection lost"])
def test_a_server_that_takes_the_push_and_reports_nothing_is_looked_at(
    server: BareServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    core = over_false_ssh(server, tmp_path, monkeypatch, end)
    old, new = one_more(server, core)
    core.push([RefUpdate(MAIN, new, old)])
    assert server.at("main") == new


@pytest.mark.parametrize("end", [NO_REPORT, CUT], ids=["no report", "connection lost"])
def test_a_push_that_is_not_reported_and_not_seen_is_unknown(
    server: BareServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    core = over_false_ssh(server, tmp_path, monkeypatch, end)
    old, new = one_more(server, core)
    server.hook("pre-receive", "exit 1")
    with pytest.raises(OutcomeUnknown, match=f"cut off.*main is at {old[:12]}"):
        core.push([RefUpdate(MAIN, new, old)])


ELSEWHERE = """#!/bin/sh
# The server is on another machine: no signal of ours reaches it, and it holds nothing of ours open.
for command; do :; done
exec 2> /dev/null
exec setsid sh -c "$command"
"""
KILL_THE_CLIENT = """\
pid=$PPID
until tr '\\0' ' ' < /proc/$pid/cmdline | grep -q -e --porcelain; do pid=$(cut -d' ' -f4 /proc/$pid/stat); done
kill -9 -$pid
until [ -e {go} ]; do sleep 0.02; done
"""


def test_a_push_of_ours_that_is_killed_without_a_word_may_arrive_late(
    server: BareServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where memory is short: git and ssh are gone, nothing was said, and the server goes on with its hooks."""
    core = over_ssh(server, tmp_path, monkeypatch, ELSEWHERE)
    old, new = one_more(server, core)
    server.hook("pre-receive", KILL_THE_CLIENT.format(go=tmp_path / "go"))
    try:
        with pytest.raises(OutcomeUnknown, match=rf"cut off \(git was killed\); now main is at {old[:12]}"):
            core.push([RefUpdate(MAIN, new, old)])
    finally:
        (tmp_path / "go").touch()
    deadline = time.monotonic() + 20
    while server.at("main") != new:
        assert time.monotonic() < deadline, "it did not arrive"
        time.sleep(0.02)


def test_what_a_hook_prints_does_not_speak_for_the_connection(server: BareServer, core: GitRemote) -> None:
    old, new = one_more(server, core)
    server.hook("pre-receive", "echo 'chmod: Permission denied'; echo 'fatal: repository not found'")
    server.hook("reference-transaction", '[ "$1" = committed ] && kill -9 $PPID; exit 0')
    core.push([RefUpdate(MAIN, new, old)])
    assert server.at("main") == new


def test_words_of_a_server_are_no_proof_that_it_was_not_reached() -> None:
    assert not unreached("remote: Permission denied\nfatal: the remote end hung up unexpectedly")
    assert not unreached("remote: Connection refused by the mirror")
    assert not unreached("Read from remote host h: Connection timed out\nfatal: the remote end hung up unexpectedly")
    assert unreached(
        "ssh: connect to host h port 22: Connection refused\nfatal: Could not read from remote repository."
    )


def test_what_ssh_said_is_quoted() -> None:
    err = "git@h: Permission denied (publickey).\nfatal: Could not read from remote repository.\n\nPlease make sure\n"
    assert quoted(err) == "git@h: Permission denied (publickey).; fatal: Could not read from remote repository."


def test_a_server_of_which_a_part_lags_behind_is_given_a_moment(server: BareServer, tmp_path: Path) -> None:
    core = repositories(tmp_path, str(server.bare)).remote("core")
    old, new = one_more(server, core)
    looks: list[str] = []

    def look() -> dict[str, str]:
        looks.append(server.at("main"))
        return {MAIN: new if len(looks) > 1 else old}

    git_push.push(git_push.Push(core._mirror, str(server.bare), (RefUpdate(MAIN, new, old),), look))  # type: ignore[attr-defined]
    assert looks == [new, new]


# ---- not taken -------------------------------------------------------------------------------------------------


def test_a_server_that_cannot_write_is_quoted_and_not_called_a_moved_lease(server: BareServer, core: GitRemote) -> None:
    old, new = one_more(server, core)
    (server.bare / "refs" / "heads" / "main.lock").touch()
    with pytest.raises(TransientError, match=r"could not write it.*cannot lock ref 'refs/heads/main'.*File exists"):
        core.push([RefUpdate(MAIN, new, old)])
    assert server.at("main") == old


@pytest.mark.parametrize("status", [401, 403, 404, 413])
def test_an_http_refusal_of_the_push_itself_is_no_cut_connection(tmp_path: Path, status: int) -> None:
    """A real server's answers, of which the last is a refusal."""
    server = filled(tmp_path)
    with Refusing(server.bare, status) as web:
        core = repositories(tmp_path, f"{web.url}/core.git").remote("core")
        repositories(tmp_path, str(server.bare)).remote("core").fetch()
        old, new = one_more(server, core)
        with pytest.raises(PermanentError, match=rf"nothing was pushed\. The Git server says .*\(HTTP {status}\)"):
            core.push([RefUpdate(MAIN, new, old)])


class Refusing(StandIn):
    """Git's HTTP backend for looks; a push gets that status."""

    def __init__(self, bare: Path, status: int) -> None:
        super().__init__()
        self.bare, self.status = bare, status

    def respond(self, request: Request) -> Response:
        if request.method == "POST":
            return Response(self.status)
        listed = subprocess.run(
            ["git", "receive-pack", "--http-backend-info-refs", str(self.bare)], check=True, capture_output=True
        ).stdout
        kind = "application/x-git-receive-pack-advertisement"
        return Response(200, b"001f# service=git-receive-pack\n0000" + listed, {"Content-Type": kind})


def test_a_repository_that_has_moved_is_not_followed(tmp_path: Path) -> None:
    with Moved() as web:
        core = repositories(tmp_path, f"{web.url}/core.git").remote("core")
        with pytest.raises(PermanentError, match="has another address now, and no redirection is followed"):
            core.branches()
        assert len(web.requests) == 1


class Moved(StandIn):
    """Somewhere else."""

    def respond(self, request: Request) -> Response:
        return Response(301, b"", {"Location": f"{self.url}/elsewhere{request.path}"})


# ---- forced ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protection", ["hook", "denyNonFastForwards"])
def test_a_protected_branch_that_refuses_to_be_forced_is_told_with_what_to_do(
    server: BareServer, core: GitRemote, protection: str
) -> None:
    if protection == "hook":
        server.hook("update", "echo 'remote: Cannot force-push to this protected branch' >&2; exit 1")
    else:
        server.git("config", "receive.denyNonFastForwards", "true", at=server.bare)
    old, before = server.at("main"), server.at("main~1")
    with pytest.raises(PermanentError, match=r"main would lose commits.*forced for the moment.*or take.* by a new"):
        core.push([RefUpdate(MAIN, before, old)])
    assert server.at("main") == old


def test_a_hook_that_refuses_an_ordinary_push_gives_no_advice_on_forcing(server: BareServer, core: GitRemote) -> None:
    old, new = one_more(server, core)
    server.hook("update", "echo 'protected branch: sign your commits' >&2; exit 1")
    with pytest.raises(PermanentError) as failure:
        core.push([RefUpdate(MAIN, new, old)])
    assert "lose commits" not in str(failure.value)


def test_what_a_branch_loses_stays_in_the_mirror(server: BareServer, core: GitRemote, tmp_path: Path) -> None:
    core.fetch()
    lost = server.commit("by hand, after the last fetch", hotfix="now\n")
    server.publish()
    before = server.at("main~2")
    core.push([RefUpdate(MAIN, before, lost)])
    core.fetch()
    mirror = tmp_path / "mirrors" / "core.git"
    assert server.git("for-each-ref", "--format=%(refname)", git_push.LOST, at=mirror) == git_push.LOST + lost
    server.git("gc", "--quiet", "--prune=now", at=server.bare)
    server.git("gc", "--quiet", "--prune=now", at=mirror)
    core.push([RefUpdate(MAIN, lost, before)])
    assert server.at("main") == lost


def test_a_push_that_loses_nothing_keeps_nothing(server: BareServer, core: GitRemote, tmp_path: Path) -> None:
    old, new = one_more(server, core)
    core.push([RefUpdate(MAIN, new, old), RefUpdate("refs/heads/review", new, None)])
    assert server.git("for-each-ref", git_push.LOST, at=tmp_path / "mirrors" / "core.git") == ""


# ---- logging in ------------------------------------------------------------------------------------------------


def test_a_login_in_a_web_address_is_refused_without_being_shown(tmp_path: Path) -> None:
    for url in ("https://hunter2@example.org/core.git", "https://example.org/core.git?private_token=hunter2"):
        with pytest.raises(ConfigError) as failure:
            repositories(tmp_path, url)
        assert "hunter2" not in str(failure.value)


def test_an_ssh_address_may_name_its_user(tmp_path: Path) -> None:
    assert repositories(tmp_path, "ssh://git@example.org/core.git").names() == ("core",)


def test_a_login_is_for_its_own_host_alone(tmp_path: Path) -> None:
    logins = {"127.0.0.1": ("kcibot", lambda: "token-1")}
    credentials = repositories(tmp_path, "https://127.0.0.1/x.git", logins=logins).remote("core")._process.credentials  # type: ignore[attr-defined]
    given = credentials.variables("https://127.0.0.1/x.git", tmp_path)
    assert (given["KCIBOT_GIT_USER"], given["KCIBOT_GIT_TOKEN"]) == ("kcibot", "token-1")
    for other in ("https://git.example.org/x.git", "ssh://127.0.0.1/x.git", "/127.0.0.1/x.git"):
        assert credentials.variables(other, tmp_path) == {}


def test_a_token_that_is_withheld_is_said_to_be(tmp_path: Path) -> None:
    process = repositories(tmp_path, "http://git.example.org/x.git", token=lambda: "t").remote("core")._process  # type: ignore[attr-defined]
    assert process.login("http://git.example.org/x.git") == {}
    refused = "fatal: could not read Username for 'http://git.example.org': terminal prompts disabled"
    error = process.connection_error(refused, "http://git.example.org/x.git")
    assert isinstance(error, PermanentError)
    assert str(error).endswith("The token is not sent over http://, where all can read it: use https://")


def test_the_helper_of_an_older_version_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "askpass").write_text("#!/bin/sh\necho of an older version\n")
    credentials = (
        repositories(tmp_path, "https://example.org/x.git", token=lambda: "t").remote("core")._process.credentials
    )  # type: ignore[attr-defined]
    helper = credentials.variables("https://example.org/x.git", tmp_path)["GIT_ASKPASS"]
    environment = {"KCIBOT_GIT_USER": "u", "KCIBOT_GIT_TOKEN": "t", "PATH": os.environ["PATH"]}
    for question, answer in (("Username for 'https://example.org': ", "u\n"), ("Password for 'x': ", "t\n")):
        done = subprocess.run([helper, question], env=environment, check=True, capture_output=True, text=True)
        assert done.stdout == answer


def test_ssh_is_never_left_to_ask_and_never_believes_an_unknown_server(tmp_path: Path) -> None:
    key, known = tmp_path / "key with 'quote", tmp_path / "100%h known"
    words = shlex.split(Credentials(ssh_key=key, known_hosts=known).ssh_command())
    assert {"BatchMode=yes", "StrictHostKeyChecking=yes", "PasswordAuthentication=no", "ControlPath=none"} <= set(words)
    assert f'IdentityFile="{key}"' in words
    assert f'UserKnownHostsFile="{tmp_path}/100%%h known"' in words


def test_what_the_machines_configuration_would_run_is_not_run(
    server: BareServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine's own configuration is read, for its proxies and certificates; its programs are not run."""
    (tmp_path / "hooks").mkdir()
    for name in ("hooks/pre-push", "asker", "signer"):
        (tmp_path / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    system = tmp_path / "gitconfig"
    system.write_text(
        f"[core]\n\thooksPath = {tmp_path}/hooks\n\taskPass = {tmp_path}/asker\n"
        f"[push]\n\tgpgSign = if-asked\n[gpg]\n\tprogram = {tmp_path}/signer\n"
    )
    server.git("config", "receive.certNonceSeed", "seed", at=server.bare)
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexport GIT_CONFIG_SYSTEM={system}\nexec {shutil.which("git")} "$@"\n')
    program.chmod(0o755)
    core = repositories(tmp_path, str(server.bare)).remote("core")
    old, new = one_more(server, core)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    core.push([RefUpdate(MAIN, new, old)])
    assert server.at("main") == new
    with Closed() as web, pytest.raises(PermanentError, match="refused the login"):
        repositories(tmp_path / "other", f"{web.url}/core.git").remote("core").branches()
    assert not (tmp_path / "ran").exists()


class Closed(StandIn):
    """Open to those who log in."""

    def respond(self, _request: Request) -> Response:
        return Response(401, b"", {"WWW-Authenticate": 'Basic realm="git"'})
