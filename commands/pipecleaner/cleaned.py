"""Step 9: what is left of a pipe cleaner that came to its end."""

from dataclasses import dataclass
from datetime import datetime

from kcibot.sdk import BuildRef, Revision
from kcibot_commands.pipecleaner.state import FailedBuild
from kcibot_commands.rules.burn_down import Curve
from kcibot_commands.rules.results import Ended


@dataclass(frozen=True)
class Cleaned:
    """A pipe cleaner that came to its end: what was built, how it ended, and the kernels that failed.

    `builds_ended` is when the last kernel build was over. `unreachable` names what could not be seen at the end
    (`Jenkins`), `retried` are the kernels that the bot built again. The curves are minutes since the trigger began,
    with the kernels that had ended, and with the test plans that had arrived.
    """

    config: str
    tree: str
    branch: str
    kernel: str
    commit: str
    series: str
    trigger: BuildRef
    url: str
    began: datetime
    ended: Ended
    kernels: int
    failed: tuple[FailedBuild, ...]
    builds_ended: datetime | None = None
    unreachable: tuple[str, ...] = ()
    retried: tuple[str, ...] = ()
    kernels_curve: Curve = ()
    tests_curve: Curve = ()

    @property
    def revision(self) -> Revision:
        return Revision(self.tree, self.branch, self.kernel)
