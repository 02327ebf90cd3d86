"""Step 8: root file systems. They are built, and the URLs of those that succeeded are moved in `test-configs.yaml`.

A procedure of its own, by default run some days before the release, so that the commit with the URLs is part of what
is tagged. Inside a release (`rootfs.when`) the same steps come after the images.
"""

from collections.abc import Mapping

from kcibot.sdk import (
    Call,
    Context,
    Done,
    GitRemote,
    Outcome,
    Procedure,
    Step,
    StepState,
    UserError,
    Words,
    command,
    listed,
)
from kcibot_commands.plan.steps import ReleaseSettings
from kcibot_commands.rootfs.builds import TOPIC, RootfsBuild, build_rootfs
from kcibot_commands.rootfs.moving import ROOTFS_GATE, update_rootfs_urls
from kcibot_commands.rootfs.orders import RootfsArgs
from kcibot_commands.rootfs.report import report_failures
from kcibot_commands.rootfs.review import request_review
from kcibot_commands.rootfs.settings import RootfsSettings
from kcibot_commands.rules.rootfs_urls import VERSION, FileSystems, version_numbers

NOT_USED = "not used"


# ---- alone -----------------------------------------------------------------------------------------------------


def show_status(context: Context) -> Done[None]:
    """The versions in the file now, on the development and the production branch."""
    settings = context.settings(RootfsSettings)
    component = context.settings(ReleaseSettings).components[settings.component]
    git = context.ports.git.remote(settings.component)
    git.fetch()
    branches = git.branches()
    names = (component.development, component.production)
    found = {branch: _versions(git, branches[branch], settings.test_configs) for branch in names if branch in branches}
    used = sorted({name for versions in found.values() for name in versions})
    rows = [
        f"{name}: {listed([f'{of.get(name, NOT_USED)} on {branch}' for branch, of in found.items()])}" for name in used
    ]
    return Done("\n".join([f"Root file systems in {settings.test_configs}", *rows]), None)


def _versions(git: GitRemote, commit: str, path: str) -> Mapping[str, str]:
    systems = FileSystems.read(git.read(commit, path))
    return {name: " and ".join(versions) for name, versions in systems.versions().items()}


MOVING = (update_rootfs_urls, request_review, report_failures)
ROOTFS = Procedure("rootfs", build_rootfs, ROOTFS_GATE, *MOVING, title="Root file systems")
UPDATE = Procedure("rootfs update", ROOTFS_GATE, *MOVING, title="Root file system URLs")
STATUS = Procedure("rootfs status", Step("show", "Root file systems", show_status, type(None)), card=False)


@command("rootfs build", role="operator", example="!rootfs build buster-igt")
def rootfs_build(call: Call, names: Words = ()) -> Outcome:
    """Build root file systems, all or some, and once approved move the URLs of those that succeeded."""
    return call.start(ROOTFS, f"Root file systems {' '.join(names)}".strip(), RootfsArgs(tuple(names)))


@command("rootfs status", role="observer")
def rootfs_status(call: Call) -> Outcome:
    """Say which versions of the root file systems are in use."""
    return call.start(STATUS)


@command("rootfs update", role="operator")
def rootfs_update(call: Call) -> Outcome:
    """Move the URLs to what was built last of each name, once approved."""
    built = last_built(call)
    if built is None:
        raise UserError("no root file systems were built by me yet: !rootfs build does")
    return call.start(UPDATE, f"Root file system URLs {built.version}", built)


def last_built(call: Call) -> RootfsBuild | None:
    """The newest round of every name, as one; rounds that are not over are left out."""
    newest: dict[int, list[str]] = {}
    for name, value in call.world.journal.recall(TOPIC).items():
        if isinstance(value, dict):
            newest.setdefault(int(str(value["run"])), []).append(name)
    rounds = [(built, names) for run, names in sorted(newest.items()) if (built := _built_by(call, run))]
    if not rounds:
        return None
    return RootfsBuild(
        max((built.version for built, _names in rounds), key=_ordered),
        max(built.ended_at for built, _names in rounds),
        {name: built.architectures[name] for built, names in rounds for name in names if name in built.architectures},
        tuple(row for built, names in rounds for row in built.results if row.name in names),
        rounds[-1][0].others,
    )


def _ordered(version: str) -> tuple[int, int]:
    return version_numbers(version) if VERSION.fullmatch(version) else (0, 0)


def _built_by(call: Call, number: int) -> RootfsBuild | None:
    record = next((step for step in call.world.journal.run(number).steps if step.id == build_rootfs.id), None)
    if record is None or record.state is not StepState.DONE:
        return None
    return call.world.journal.codec.load(RootfsBuild, record.value)
