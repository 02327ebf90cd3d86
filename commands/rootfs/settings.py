"""How this KernelCI builds and uses root file systems."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import ClassVar


class When(StrEnum):
    """When root file systems are built: by themselves some days before a release, or inside it, after the images."""

    DAYS_BEFORE = "days before"
    INSIDE = "inside"


class Rebuilding(StrEnum):
    """Whether a release builds them when recipes changed, or each time (KernelCI's procedure: in doubt, always)."""

    CHANGED = "changed"
    ALL = "all"


class CommitTo(StrEnum):
    """Where the new URLs go: onto the development branch, or onto a branch of their own for a review."""

    DEVELOPMENT = "development"
    BRANCH = "branch"


@dataclass(frozen=True)
class RootfsSettings:
    """Where root file systems are listed, built and used.

    `when`: built `days before` a release, by `!rootfs build`, or `inside` it; then `rebuild` tells whether always
    (`all`) or when recipes `changed`.
    `component`: the repository with the files `test_configs` (URLs) and `rootfs_configs` (architectures of each name).
    `trigger_job`, `builder_job`: the Jenkins jobs that start and do the builds. `jobs`: where each name has a job of
    its own instead, as in 2019, name -> job; `pipeline` is then the file that lists its architectures.
    `commit`: `development` pushes the new URLs to the development branch, `branch` to a new branch for review.
    `staging_branch`: cherry-picked there as well; empty where staging follows the development branch by itself.
    `storage`: the file server's address as the bot reaches it, if it is not the one in the URLs. `dropped`: name ->
    architectures that it no longer has on purpose, though the version in use does. `look`: the span between two looks
    at the builds. `report_to`: who gets a mail about what failed where no issue tracker is configured; nobody if empty.
    """

    section: ClassVar[str] = "rootfs"
    when: When = When.DAYS_BEFORE
    rebuild: Rebuilding = Rebuilding.CHANGED
    component: str = "core"
    test_configs: str = "config/core/test-configs.yaml"
    rootfs_configs: str = "config/core/rootfs-configs.yaml"
    trigger_job: str = "rootfs-build-trigger"
    builder_job: str = "rootfs-builder"
    jobs: Mapping[str, str] = field(default_factory=dict)
    pipeline: str = "jenkins/{name}.jpl"
    commit: CommitTo = CommitTo.DEVELOPMENT
    staging_branch: str = ""
    storage: str = ""
    dropped: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    look: timedelta = timedelta(minutes=1)
    report_to: tuple[str, ...] = ("kernelci@groups.io",)
