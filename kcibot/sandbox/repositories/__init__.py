"""Seven bare repositories in the shape of KernelCI's real ones, with a plausible history and release work waiting."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from kcibot.sandbox.repositories.ansible_configs import ansible_config
from kcibot.sandbox.repositories.backend import backend
from kcibot.sandbox.repositories.core import core
from kcibot.sandbox.repositories.frontend import frontend
from kcibot.sandbox.repositories.jenkins import jenkins
from kcibot.sandbox.repositories.linux import linux


def create_repositories(
    folder: Path, clock_now: datetime, real_yaml: Path | None = None, targets: Path | None = None
) -> Mapping[str, Path]:
    """Make the repositories in `folder`; name -> path of the bare repository.

    Everything is dated relative to `clock_now`: the last releases were made one and two weeks before. `real_yaml` may
    hold KernelCI's own `build-configs.yaml` and `test-configs.yaml` of March 2019, to be used in place of the
    sandbox's. `targets` is the folder of the deploy targets, by default `targets` beside `folder`; the Ansible
    configurations name it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    targets = targets or folder.parent / "targets"
    paths = {name: folder / f"{name}.git" for name in ("core", "backend", "frontend", "jenkins", "linux")}
    core(clock_now, real_yaml).make(paths["core"])
    backend(clock_now).make(paths["backend"])
    frontend(clock_now).make(paths["frontend"])
    jenkins(clock_now).make(paths["jenkins"])
    linux(clock_now).make(paths["linux"])
    for name in ("backend", "frontend"):
        path = folder / f"{name}-config.git"
        paths[path.stem] = ansible_config(name, paths[name], targets, clock_now).make(path)
    return paths
