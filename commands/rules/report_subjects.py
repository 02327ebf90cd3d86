"""What the subjects of KernelCI's report mails say."""

import re
from dataclasses import dataclass

_START = r"^(?P<tree>[^/ ]+)/(?P<branch>\S+) "
_KERNEL = r"\((?P<kernel>[^()]+)\)"
_COUNTS = r"\d+ {0}s?: \d+ failed, \d+ passed"
SUBJECTS = {
    "build": re.compile(rf"{_START}build: {_COUNTS.format('build')}(?:, \d+ errors?)?(?:, \d+ warnings?)? {_KERNEL}$"),
    "boot": re.compile(
        rf"{_START}boot: {_COUNTS.format('boot')}(?:(?: with|,) \d+ (?:offline|untried/unknown|conflicts?))* {_KERNEL}"
        r"(?: - (?P<lab>\S+))?$"
    ),
    "test": re.compile(rf"{_START}(?P<plan>.+): \d+ (?:tests|runs), \d+ regressions {_KERNEL}$"),
}
"""From the backend's own code; `tests` became `runs` between 2019.6 and 2019.12."""
OTHERWISE = {"v4l2-compliance on uvcvideo": "v4l2-compliance-uvc", "v4l2-compliance on vivid": "v4l2-compliance-vivid"}
"""Plans that a subject calls otherwise."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a report's subject says."""

    kind: str
    tree: str
    branch: str
    kernel: str
    plan: str = ""
    lab: str = ""


def read_subject(text: str) -> Subject | None:
    """None for what is no report's subject. It may be folded over several lines, as mails have it."""
    line = " ".join(text.split())
    for kind, pattern in SUBJECTS.items():
        found = pattern.match(line)
        if found:
            said = found.groupdict(default="")
            plan = said.get("plan", "")
            return Subject(
                kind, said["tree"], said["branch"], said["kernel"], OTHERWISE.get(plan, plan), said.get("lab", "")
            )
    return None
