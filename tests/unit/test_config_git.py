"""A token of a Git server is for that server: a configuration that would show it to another is refused."""

from pathlib import Path

import pytest

from kcibot.config import Config, check, load
from kcibot.config.problems import ConfigProblems
from tests.fakes.config_text import config_text, replaced


def loaded(folder: Path, text: str) -> Config:
    (folder / "config.yaml").write_text(text)
    return load(folder / "config.yaml", {})


REPOSITORIES = """repositories:
      core: git@github.com:kernelci/kernelci-core.git
      backend: https://github.com/kernelci/kernelci-backend.git
"""


def with_git(folder: Path, repositories: str, line: str) -> Config:
    """The good configuration with other repositories, and one more line in services.git."""
    return loaded(folder, replaced(REPOSITORIES, f"repositories: {repositories}\n    {line}\n"))


ONE = '{core: "https://git.example.org/core.git", backend: "https://git.example.org/backend.git"}'
TWO = '{core: "https://git.example.org/core.git", linux: "https://forge.example.org/linux.git"}'


def test_one_token_is_for_one_server(tmp_path: Path) -> None:
    git = with_git(tmp_path, ONE, "token: {file: api-token}").services.git
    assert git.token is not None
    assert git.logins == {}


def test_one_token_for_two_servers_is_refused(tmp_path: Path) -> None:
    told = r"has one `token` for forge\.example\.org and git\.example\.org\. Write `logins`, with one for each of them"
    with pytest.raises(ConfigProblems, match=told):
        with_git(tmp_path, TWO, "token: {file: api-token}")


def test_a_login_of_its_own_takes_a_server_from_the_token(tmp_path: Path) -> None:
    login = "{forge.example.org: {user: kcibot, token: {file: api-token}}}"
    git = with_git(tmp_path, TWO, f"logins: {login}\n    token: {{file: api-token}}").services.git
    assert git.logins["forge.example.org"].user == "kcibot"


def test_ssh_servers_are_given_no_token_and_do_not_count(tmp_path: Path) -> None:
    mixed = '{core: "https://git.example.org/core.git", linux: "git@forge.example.org:linux.git"}'
    assert with_git(tmp_path, mixed, "token: {file: api-token}").services.git.token is not None


def test_a_login_is_whole(tmp_path: Path) -> None:
    with pytest.raises(ConfigProblems, match=r"logins.*git\.example\.org.*\.token: is missing"):
        with_git(tmp_path, ONE, "logins: {git.example.org: {user: kcibot}}")


def test_check_looks_for_the_file_of_known_hosts(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(config_text().replace("author_email:", "known_hosts: absent\n    author_email:"))
    found = [line for line in check(path, {}) if "known_hosts" in line]
    assert len(found) == 1
    assert f"services.git.known_hosts: {tmp_path}/absent is no file that can be read" in found[0]
