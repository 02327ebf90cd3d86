"""How the first results find their revisions where kernel builds are told their build config alone, as since 2019."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from kcibot.sandbox.repositories import create_repositories
from kcibot.services.git.adapter import GitRepositories
from tests.fakes.bench import BEGINS
from tests.fakes.first_results_bench import ARCH, SETTINGS, After, after, revision_of


def untold(config: str) -> Mapping[str, str]:
    return {"GIT_DESCRIBE": revision_of(config).kernel, "BUILD_CONFIG": config, "ARCH": ARCH}


def test_tree_and_branch_come_from_productions_build_configs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = create_repositories(tmp_path / "repositories", BEGINS)
    urls = {name: str(path) for name, path in folders.items()}
    git = GitRepositories(urls, tmp_path / "mirrors", "kcibot", "kcibot@example.org")
    with after(tmp_path) as made:
        world = After(made.ci, made.api, replace(made.world, ports=replace(made.world.ports, git=git)))
        monkeypatch.setattr(world, "_parameters", untold)
        world.history("mainline", 38, 39, 38)
        world.begin()
        world.monitor("mainline")
        world.results("mainline", 38, 2)
        world.pass_time(SETTINGS.look * 3)
        assert "38 of 40 kernels passed, 3 labs" in world.said()
