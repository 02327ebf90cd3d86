"""The Git adapter against real bare repositories, real hooks and a real HTTP server that asks for a login."""

import os
import threading
from base64 import b64decode
from datetime import timedelta
from pathlib import Path

import pytest

from kcibot.core.ports import ChangedPath, GitRemote, RefUpdate, TagRef
from kcibot.errors import ConfigError, NotFound, OutcomeUnknown, PermanentError, TransientError, UserError
from kcibot.sandbox.http import Request, Response, StandIn
from tests.servers.git_bare import AT, MAIN, PRODUCTION, BareServer, filled, repositories


@pytest.fixture
def server(tmp_path: Path) -> BareServer:
    return filled(tmp_path)


@pytest.fixture
def core(server: BareServer, tmp_path: Path) -> GitRemote:
    return repositories(tmp_path, str(server.bare)).remote("core")


# ---- reading ---------------------------------------------------------------------------------------------------


def test_branches_and_tags_are_asked_of_the_server_and_tags_are_peeled(server: BareServer, core: GitRemote) -> None:
    head = server.at("main")
    server.git("tag", "light")
    server.git("tag", "-a", "-m", "heavy", "heavy")
    server.git("tag", "-a", "-m", "tag of a tag", "nested", "heavy")
    server.publish("--tags")
    assert core.branches() == {"main": head, "kernelci.org": head}
    heavy, nested = server.at("refs/tags/heavy"), server.at("refs/tags/nested")
    assert set(core.tags()) == {
        TagRef("light", head, head),
        TagRef("heavy", heavy, head),
        TagRef("nested", nested, head),
    }


def test_an_empty_repository_has_no_branches_and_no_tags(tmp_path: Path) -> None:
    BareServer(tmp_path)
    core = repositories(tmp_path, str(tmp_path / "core.git")).remote("core")
    assert core.branches() == {}
    assert core.tags() == ()


def test_log_is_newest_first_and_leaves_merges_out(server: BareServer, core: GitRemote) -> None:
    old = server.at("main")
    server.git("checkout", "--quiet", "-b", "side")
    side = server.commit("test-configs.yaml: add a board\n\nIt is fast.", side="s\n")
    server.git("checkout", "--quiet", "main")
    ours = server.commit("jenkins: drop a parameter", ours="o\n")
    server.git("merge", "--quiet", "--no-edit", "side")
    server.publish()
    commits = core.log(old, server.at("main"))
    assert [commit.sha for commit in commits] == [ours, side]
    assert (commits[1].subject, commits[1].body) == ("test-configs.yaml: add a board", "It is fast.")
    assert (commits[1].author, commits[1].at) == ("A Developer", AT + timedelta(minutes=3))
    assert core.log(old, old) == ()


def test_lost_commits_are_found_and_equal_patches_on_the_new_side_are_named(
    server: BareServer, core: GitRemote
) -> None:
    base = server.at("main")
    server.git("checkout", "--quiet", "-b", "production")
    both = server.commit("fix: needed at once", fix="now\n")
    alone = server.commit("[kernelci.org] disable kselftest builds", only="here\n")
    server.git("checkout", "--quiet", "-B", "main", base)
    server.commit("frontend: something else", other="x\n")
    server.git("cherry-pick", both)
    twin = server.git("rev-parse", "HEAD")
    server.publish("main", "production:kernelci.org")
    lost = core.lost(alone, server.at("main"))
    assert [(item.commit.sha, item.twin) for item in lost] == [(alone, None), (both, twin)]
    assert core.lost(base, server.at("main")) == ()


def test_changed_paths_know_renames_and_diff_can_be_of_one_path(server: BareServer, core: GitRemote) -> None:
    old = server.at("main")
    server.git("mv", "one", "first")
    new = server.commit("rename", two="22\n", **{"with space": "w\n"})
    server.publish()
    assert core.changed_paths(old, new) == (
        ChangedPath("R", "first", "one"),
        ChangedPath("M", "two"),
        ChangedPath("A", "with space"),
    )
    assert "-2\n+22\n" in core.diff(old, new, "two")
    assert "first" not in core.diff(old, new, "two")
    assert "first" in core.diff(old, new)


def test_read_gives_the_text_and_says_so_if_there_is_no_such_file(server: BareServer, core: GitRemote) -> None:
    head = server.at("main")
    assert core.read(head, "folder/three") == "3\n"
    assert core.paths(head) == ("folder/three", "one", "two")
    assert core.paths(head, "folder") == ("folder/three",)
    assert core.paths(head, "elsewhere") == ()
    with pytest.raises(NotFound, match="has no file four"):
        core.read(head, "four")
    with pytest.raises(NotFound, match="has no file folder"):
        core.read(head, "folder")


def test_a_yaml_file_is_read_as_plain_values(server: BareServer, core: GitRemote) -> None:
    text = "a: &x {day: 2019-05-06, n: 1, on: yes}\nb: {<<: *x, n: 2}\n"
    head = server.commit("add files", **{"good.yaml": text, "bad.yaml": "a: [1\nb: 2\n"})
    server.publish()
    assert core.document(head, "good.yaml") == {
        "a": {"day": "2019-05-06", "n": 1, True: True},
        "b": {"day": "2019-05-06", "n": 2, True: True},
    }
    with pytest.raises(PermanentError, match=r"core: bad\.yaml of .* is no valid YAML, line 2"):
        core.document(head, "bad.yaml")


def test_an_unknown_commit_is_an_error_and_never_an_empty_answer(core: GitRemote) -> None:
    core.fetch()
    for look in (core.paths, lambda sha: core.read(sha, "one"), lambda sha: core.log(sha, sha)):
        with pytest.raises(PermanentError) as failure:
            look("0123456789" * 4)
        assert not isinstance(failure.value, NotFound)


def test_what_is_no_full_commit_id_never_reaches_git(core: GitRemote) -> None:
    for text in ("main", "--output=x", "0" * 39, "a" * 40 + "\n"):
        with pytest.raises(PermanentError, match="not a full commit id"):
            core.paths(text)


def test_fetch_follows_moved_and_removed_branches_and_tags(server: BareServer, core: GitRemote, tmp_path: Path) -> None:
    server.git("tag", "moving")
    server.publish("main:gone", "--tags")
    core.fetch()
    server.git("commit", "--quiet", "--amend", "-m", "another story")
    server.git("tag", "--force", "moving")
    server.publish("main", "moving", ":gone")
    core.fetch()
    mirror = tmp_path / "mirrors" / "core.git"
    assert server.git("rev-parse", "moving", at=mirror) == server.at("main")
    assert "gone" not in server.git("for-each-ref", at=mirror)


def test_a_branch_that_looks_like_an_option_is_only_a_name(server: BareServer, core: GitRemote, tmp_path: Path) -> None:
    head, trap = server.at("main"), tmp_path / "trap"
    evil = f"--upload-pack=touch${{IFS}}{trap.name}"
    server.git("update-ref", f"refs/heads/{evil}", head, at=server.bare)
    core.fetch()
    assert core.branches()[evil] == head
    with pytest.raises(PermanentError, match="no reference that may be pushed"):
        core.push([RefUpdate(f"refs/heads/{evil}", head, None)])
    assert not list(tmp_path.rglob(trap.name))


def test_checkout_writes_the_files_of_that_commit_into_an_empty_folder(
    server: BareServer, core: GitRemote, tmp_path: Path
) -> None:
    (server.work / "run.sh").write_text("#!/bin/sh\n")
    (server.work / "run.sh").chmod(0o755)
    head = server.commit("add a script")
    server.publish()
    core.checkout(head, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["folder", "one", "run.sh", "two"]
    assert os.access(tmp_path / "out" / "run.sh", os.X_OK)
    with pytest.raises(PermanentError, match="not empty"):
        core.checkout(head, tmp_path / "out")


# ---- making ----------------------------------------------------------------------------------------------------


def test_a_commit_is_made_without_touching_the_server_and_always_has_the_same_id(
    server: BareServer, core: GitRemote, tmp_path: Path
) -> None:
    head = server.at("main")
    files = {"one": "one\n", "new/file": "ü\n"}
    made = core.commit(head, files, "Bump app version to 2021.5.1", AT)
    again = repositories(tmp_path / "other", str(server.bare)).remote("core")
    assert again.commit(head, files, "Bump app version to 2021.5.1", AT) == made
    assert core.read(made, "new/file") == "ü\n"
    assert core.read(made, "two") == "2\n"
    (commit,) = core.log(head, made)
    assert (commit.author, commit.at, commit.subject) == ("kcibot", AT, "Bump app version to 2021.5.1")
    assert core.branches()["main"] == head


def test_a_changed_script_stays_executable(server: BareServer, core: GitRemote, tmp_path: Path) -> None:
    (server.work / "run.sh").write_text("#!/bin/sh\n")
    (server.work / "run.sh").chmod(0o755)
    head = server.commit("add a script")
    server.publish()
    made = core.commit(head, {"run.sh": "#!/bin/sh\ntrue\n"}, "change it", AT)
    core.checkout(made, tmp_path / "out")
    assert os.access(tmp_path / "out" / "run.sh", os.X_OK)


def test_a_commit_that_changes_nothing_or_leaves_the_repository_is_refused(server: BareServer, core: GitRemote) -> None:
    head = server.at("main")
    with pytest.raises(PermanentError, match="would change nothing"):
        core.commit(head, {"one": "1\n"}, "again", AT)
    for path in ("../out", "/etc/x", ".git/config", "a//b", ""):
        with pytest.raises(PermanentError, match="no path inside"):
            core.commit(head, {path: "x"}, "out", AT)


def test_a_cherry_pick_keeps_the_author_and_always_has_the_same_id(server: BareServer, core: GitRemote) -> None:
    base = server.at("main")
    fix = server.commit("fix: the thing", two="two\n")
    server.commit("more", one="x\n")
    server.publish()
    later = AT + timedelta(days=1)
    onto = core.commit(base, {"four": "4\n"}, "production only", later)
    made = core.cherry_pick(fix, onto, later)
    assert core.cherry_pick(fix, onto, later) == made
    assert (core.read(made, "two"), core.read(made, "one"), core.read(made, "four")) == ("two\n", "1\n", "4\n")
    (commit,) = core.log(onto, made)
    assert (commit.author, commit.at, commit.subject) == ("A Developer", later, "fix: the thing")
    assert commit.body == f"(cherry picked from commit {fix})"


def test_a_cherry_pick_conflict_names_the_paths_and_leaves_nothing_behind(
    server: BareServer, core: GitRemote, tmp_path: Path
) -> None:
    base = server.at("main")
    fix = server.commit("fix", two="theirs\n")
    server.publish()
    onto = core.commit(base, {"two": "ours\n"}, "ours", AT)
    mirror = tmp_path / "mirrors" / "core.git"
    before = (server.git("for-each-ref", at=mirror), sorted(path.name for path in mirror.iterdir()))
    with pytest.raises(PermanentError, match=r"does not apply .*conflict in two"):
        core.cherry_pick(fix, onto, AT)
    assert (server.git("for-each-ref", at=mirror), sorted(path.name for path in mirror.iterdir())) == before
    with pytest.raises(PermanentError, match="already in"):
        core.cherry_pick(fix, fix, AT)


def test_an_annotated_tag_is_an_object_of_its_own_and_always_has_the_same_id(
    server: BareServer, core: GitRemote
) -> None:
    head = server.at("main")
    tag = core.annotate("kernelci-20210524", head, "kernelci-20210524", AT)
    assert core.annotate("kernelci-20210524", head, "kernelci-20210524", AT) == tag
    core.push([RefUpdate("refs/tags/kernelci-20210524", tag, None)])
    assert core.tags() == (TagRef("kernelci-20210524", tag, head),)
    assert server.git("cat-file", "tag", tag, at=server.bare).endswith("\n\nkernelci-20210524")
    with pytest.raises(PermanentError, match="no name for a tag"):
        core.annotate("-d", head, "x", AT)


# ---- pushing ---------------------------------------------------------------------------------------------------


def test_a_push_moves_branch_and_tag_together_even_backwards(server: BareServer, core: GitRemote) -> None:
    old = server.at("main")
    first = server.git("rev-parse", "main~1")
    new = core.commit(old, {"one": "x\n"}, "new", AT)
    tag = core.annotate("v1", new, "v1", AT)
    core.push([RefUpdate(MAIN, new, old), RefUpdate("refs/tags/v1", tag, None), RefUpdate(PRODUCTION, first, old)])
    assert core.branches() == {"main": new, "kernelci.org": first}
    assert core.tags() == (TagRef("v1", tag, new),)


def test_a_push_that_is_already_there_is_done(server: BareServer, core: GitRemote) -> None:
    old = server.at("main")
    new = core.commit(old, {"one": "x\n"}, "new", AT)
    for _ in range(2):
        core.push([RefUpdate(MAIN, new, old), RefUpdate("refs/heads/review", new, None)])
    assert core.branches()["review"] == new


def test_a_moved_lease_is_refused_and_nothing_is_pushed(server: BareServer, core: GitRemote) -> None:
    old = server.at("main")
    new = core.commit(old, {"one": "x\n"}, "new", AT)
    moved = server.commit("somebody was faster", two="faster\n")
    server.publish()
    with pytest.raises(PermanentError, match=f"main was expected at {old[:12]}, but it is at {moved[:12]}"):
        core.push([RefUpdate("refs/heads/review", new, None), RefUpdate(MAIN, new, old)])
    assert core.branches() == {"main": moved, "kernelci.org": old}


def test_an_existing_tag_is_refused_and_its_branch_stays(server: BareServer, core: GitRemote) -> None:
    old = server.at("main")
    server.git("tag", "-a", "-m", "v1", "v1")
    server.publish("--tags")
    new = core.commit(old, {"one": "x\n"}, "new", AT)
    tag = core.annotate("v1", new, "v1", AT)
    with pytest.raises(PermanentError, match="the tag v1 exists already"):
        core.push([RefUpdate(MAIN, new, old), RefUpdate("refs/tags/v1", tag, None)])
    assert core.branches()["main"] == old


def test_a_hook_that_refuses_is_quoted_and_nothing_is_pushed(server: BareServer, core: GitRemote) -> None:
    old = server.at("main")
    server.hook(
        "update", '[ "$1" = refs/heads/kernelci.org ] || exit 0; echo "error: GH006: Protected branch" >&2; exit 1'
    )
    new = core.commit(old, {"one": "x\n"}, "new", AT)
    with pytest.raises(PermanentError, match=r"kernelci\.org.*declined.*GH006: Protected branch"):
        core.push([RefUpdate(MAIN, new, old), RefUpdate(PRODUCTION, new, old)])
    assert core.branches() == {"main": old, "kernelci.org": old}


def test_a_branch_moved_between_the_lease_and_the_update_is_a_moved_lease(server: BareServer, core: GitRemote) -> None:
    old = server.at("main")
    other = server.commit("faster", two="faster\n")
    server.publish("main:elsewhere")
    server.hook("pre-receive", f"unset GIT_QUARANTINE_PATH; git update-ref refs/heads/main {other}")
    new = core.commit(old, {"one": "x\n"}, "new", AT)
    with pytest.raises(PermanentError, match="main was expected at"):
        core.push([RefUpdate(MAIN, new, old)])
    assert core.branches()["main"] == other


def test_a_timeout_leaves_the_outcome_unknown_and_says_where_things_are(server: BareServer, tmp_path: Path) -> None:
    old = server.at("main")
    core = repositories(tmp_path, str(server.bare), timeout_seconds=0.6).remote("core")
    new = core.commit(old, {"one": "x\n"}, "new", AT)
    server.hook("pre-receive", "exec sleep 5")
    with pytest.raises(OutcomeUnknown, match=f"time limit.*main is at {old[:12]}"):
        core.push([RefUpdate(MAIN, new, old)])


def test_a_push_cut_off_after_it_arrived_is_done(server: BareServer, tmp_path: Path) -> None:
    old = server.at("main")
    core = repositories(tmp_path, str(server.bare), timeout_seconds=0.6).remote("core")
    new = core.commit(old, {"one": "x\n"}, "new", AT)
    server.hook("post-receive", "exec sleep 5")
    core.push([RefUpdate(MAIN, new, old)])
    assert server.at("main") == new


def test_a_server_that_dies_in_mid_push_leaves_the_outcome_unknown(server: BareServer, core: GitRemote) -> None:
    old = server.at("main")
    new = core.commit(old, {"one": "x\n"}, "new", AT)
    server.hook("pre-receive", "kill -9 $PPID")
    with pytest.raises(OutcomeUnknown, match="cut off"):
        core.push([RefUpdate(MAIN, new, old)])
    assert core.branches()["main"] == old


def test_an_unreachable_server_is_worth_another_try(server: BareServer, core: GitRemote, tmp_path: Path) -> None:
    old = server.at("main")
    new = core.commit(old, {"one": "x\n"}, "new", AT)
    server.bare.rename(tmp_path / "away")
    closed = repositories(tmp_path / "other", "git://127.0.0.1:1/core.git").remote("core")
    for act in (core.branches, core.fetch, closed.tags, lambda: core.push([RefUpdate(MAIN, new, old)])):
        with pytest.raises(TransientError, match="cannot be reached"):
            act()


# ---- logging in and names --------------------------------------------------------------------------------------


class LoginServer(StandIn):
    """An HTTP server that wants a login and then refuses it, and keeps what it was given."""

    def respond(self, request: Request) -> Response:
        return Response(401, b"", {"WWW-Authenticate": 'Basic realm="git"'})

    def passwords(self) -> set[str]:
        given = (request.headers.get("Authorization", "") for request in self.requests)
        return {b64decode(value.removeprefix("Basic ")).decode() for value in given if value}


def test_a_token_is_given_to_the_server_and_appears_nowhere_else(tmp_path: Path) -> None:
    with LoginServer() as server:
        core = repositories(tmp_path, f"{server.url}/core.git", token=lambda: "s3cret-token").remote("core")
        with pytest.raises(PermanentError, match="refused the login") as failure:
            core.branches()
        assert server.passwords() == {"x-access-token:s3cret-token"}
    assert "s3cret" not in str(failure.value)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"s3cret" in path.read_bytes()]
    assert "KCIBOT_GIT_TOKEN" not in os.environ


def test_without_a_token_nobody_is_prompted(tmp_path: Path) -> None:
    with LoginServer() as server:
        core = repositories(tmp_path, f"{server.url}/core.git").remote("core")
        with pytest.raises(PermanentError, match="refused the login"):
            core.branches()
        assert server.passwords() == set()


def test_a_password_in_a_url_is_refused_without_being_shown(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as failure:
        repositories(tmp_path, "https://user:hunter2@example.org/core.git")
    assert "hunter2" not in str(failure.value)


def test_an_unknown_repository_is_refused_with_the_known_names(core: GitRemote, tmp_path: Path) -> None:
    known = repositories(tmp_path, "/somewhere/core.git")
    assert known.names() == ("core",)
    with pytest.raises(UserError, match="configured are core"):
        known.remote("cor")


def test_many_threads_may_use_one_repository(server: BareServer, core: GitRemote) -> None:
    head, made, errors = server.at("main"), [], []

    def work(number: int) -> None:
        try:
            core.fetch()
            sha = core.commit(head, {"one": f"thread {number}\n"}, f"change {number}", AT)
            made.append(core.read(sha, "one"))
        except Exception as error:  # noqa: BLE001 (handed to the test's own thread)
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(made) == [f"thread {number}\n" for number in range(6)]
