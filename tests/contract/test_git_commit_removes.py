"""A commit that the bot makes can take files away: a file that is renamed goes from one path and comes to another."""

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kcibot.core.ports import ChangedPath, GitRemote
from kcibot.errors import PermanentError
from kcibot.services.git.adapter import GitRepositories

AT = datetime(2020, 10, 12, 9, 0, tzinfo=UTC)
TEXT = "define([], function() {\n    return 'a view';\n});\n"


def git(folder: Path, *words: str) -> str:
    who = {f"GIT_{role}_{key}": "x@example.org" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    env = {**kept, **who, "GIT_CONFIG_GLOBAL": os.devnull}
    return subprocess.run(("git", *words), cwd=folder, env=env, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def frontend(tmp_path: Path) -> GitRemote:
    work = tmp_path / "work"
    (work / "js" / "app").mkdir(parents=True)
    (work / "js" / "app" / "view-a.2020.9.js").write_text(TEXT)
    (work / "js" / "common.js").write_text("'app/view-a.2020.9'\n")
    git(tmp_path, "init", "--quiet", "--initial-branch=main", str(work))
    git(work, "add", "--all")
    git(work, "commit", "--quiet", "-m", "start")
    remote = GitRepositories({"frontend": str(work)}, tmp_path / "mirrors", "kcibot", "bot@example.org").remote(
        "frontend"
    )
    remote.fetch()
    return remote


RENAME = {"js/app/view-a.2020.9.js": None, "js/app/view-a.2020.10.js": TEXT, "js/common.js": "'app/view-a.2020.10'\n"}


def test_a_renamed_file_is_a_rename_for_git(frontend: GitRemote) -> None:
    head = frontend.branches()["main"]
    made = frontend.commit(head, RENAME, "Rename JS files", AT)
    assert frontend.changed_paths(head, made) == (
        ChangedPath("R", "js/app/view-a.2020.10.js", "js/app/view-a.2020.9.js"),
        ChangedPath("M", "js/common.js"),
    )
    assert frontend.paths(made) == ("js/app/view-a.2020.10.js", "js/common.js")
    assert frontend.commit(head, RENAME, "Rename JS files", AT) == made


def test_the_last_file_of_a_folder_takes_the_folder_with_it(frontend: GitRemote) -> None:
    head = frontend.branches()["main"]
    assert frontend.paths(frontend.commit(head, {"js/app/view-a.2020.9.js": None}, "Remove", AT)) == ("js/common.js",)


def test_a_file_that_is_not_there_cannot_be_removed(frontend: GitRemote) -> None:
    with pytest.raises(PermanentError, match=r"frontend: there is no js/app/view-b\.js to be removed"):
        frontend.commit(frontend.branches()["main"], {"js/app/view-b.js": None}, "Remove", AT)
