"""Step 9: which builds of a kernel failed before its last one. The results API keeps only the last result of each."""

from collections.abc import Mapping, Sequence

from kcibot.sdk import Context, Revision
from kcibot_commands.pipecleaner.record import SUCCESS, Record
from kcibot_commands.pipecleaner.state import Following
from kcibot_commands.rules.results import KernelKey

RETRIES = "pipecleaner-retries"
"""Topic: revision -> kernel -> how many failures came before its last build."""
FAILURES = "pipecleaner-failures"
"""Topic: revision -> kernel -> the numbers of those builds: each counts once, whoever tells of it."""


def revision_name(revision: Revision) -> str:
    return f"{revision.tree}/{revision.branch} {revision.kernel}"


def remember_failures(context: Context, revision: Revision, failures: Mapping[str, Sequence[int]]) -> None:
    """Add those builds, by kernel, to the ones that are known of the revision."""
    if not failures:
        return
    name = revision_name(revision)
    known = context.recall(FAILURES).get(name)
    numbers: dict[str, list[int]] = dict(known) if isinstance(known, dict) else {}
    for key, more in failures.items():
        numbers[key] = sorted({*numbers.get(key, ()), *more})
    context.remember(FAILURES, name, numbers)
    context.remember(RETRIES, name, {key: len(each) for key, each in numbers.items()})


def failures_before(record: Record, state: Following) -> Mapping[str, Sequence[int]]:
    """The builds that failed, and after which the kernel was built again to an end.

    One that was cut off counts neither as a failure nor as an end: it says nothing of its kernel.
    """
    last: dict[KernelKey, int] = {}
    for number, one in record.builds.items():
        if not one.open and not one.lost:
            last[record.key(one)] = max(number, last.get(record.key(one), 0))
    found: dict[str, list[int]] = {}
    for number, one in record.builds.items():
        bad = not one.lost and (one.result != SUCCESS or str(number) in state.again)
        key = record.key(one)
        if bad and not one.open and number < last.get(key, 0):
            found.setdefault(str(key), []).append(number)
    return found
