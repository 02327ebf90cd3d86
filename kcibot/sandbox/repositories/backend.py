"""The sandbox's kernelci-backend: versions with their irregularities, and fixes waiting for the next one."""

from datetime import datetime, timedelta

from kcibot.sandbox.repositories.history import FILES, History
from kcibot.sandbox.repositories.versions import old_tags, release, version_at

VERSION_FILE = "app/handlers/__init__.py"
RELEASED_WEEKS = (9, 7, 5, 4, 1)

WORK = (
    ("app/utils/report/test.py", "SUBJECT_RUNS = True", "Use runs rather than tests in report subjects"),
    ("app/handlers/callback.py", "REQUIRED_KEYS = ('job', 'kernel')", "Define lists of LAVA callback metadata keys"),
    ("app/models/report.py", "STATUS_KEYS = ('SENT', 'ERROR')", "Keep the status of sent reports"),
    ("app/utils/report/test.py", "MAX_REGRESSIONS = 50", "Limit the number of regressions in a report"),
    ("app/handlers/send.py", "DELAY_CAP = 18000", "Cap the delay of scheduled reports"),
    ("app/utils/report/build.py", "SHOW_WARNINGS = True", "Show warnings in build reports"),
    ("app/models/test_group.py", "PLAN_VARIANT = 'plan_variant'", "Add plan_variant to test groups"),
    ("app/handlers/callback.py", "CHECK_LAB_TOKEN = True", "Check that the token belongs to the lab"),
    ("app/utils/report/test.py", "SKIP_EMPTY = True", "Send no report for a plan without results"),
    ("app/models/report.py", "RETENTION_DAYS = 90", "Forget reports after three months"),
)
AHEAD = (
    ("app/handlers/callback.py", "RETRY_AFTER = 60", "Tell labs when to try a refused callback again"),
    ("app/utils/report/test.py", "SORT_BY_LAB = True", "Fix the order of failed test cases in the report"),
    ("app/models/test_group.py", "INDEX_ON_KERNEL = True", "Add an index on the kernel of test groups"),
)


def backend(now: datetime) -> History:
    """The last version was made seven days before `now`; nobody bumped the next one yet."""
    history = History()
    history.write_all(FILES / "backend")
    history.write(VERSION_FILE, f'{HEADER}\n__version__ = "2020.11"\n__versionfull__ = __version__\n')
    first = history.commit("Start from the code that runs", now - timedelta(weeks=10))
    for name in ("2014.12.1", *old_tags(now)):
        history.light_tag(name, first)
    released = first
    for number, weeks in enumerate(RELEASED_WEEKS):
        at = now - timedelta(weeks=weeks)
        for days, (path, line, subject) in enumerate(WORK[2 * number : 2 * number + 2]):
            _add(history, path, line)
            history.commit(subject, at - timedelta(days=3 - days))
        released = release(history, VERSION_FILE, version_at(now, weeks, RELEASED_WEEKS), at)
    history.branch("kernelci.org", released)
    for number, (path, line, subject) in enumerate(AHEAD):
        _add(history, path, line)
        history.commit(subject, now - timedelta(days=5 - number))
    return history


HEADER = '"""All handlers are here."""\n'


def _add(history: History, path: str, line: str) -> None:
    history.write(path, f"{history.files.get(path, '')}{line}\n")
