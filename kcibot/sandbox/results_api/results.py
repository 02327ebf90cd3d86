"""Builds, boots and tests as the backend writes them down."""

from collections.abc import Sequence

from kcibot.core.ports import Revision
from kcibot.sandbox.results_api.documents import Collections, Document, plain
from kcibot.sandbox.results_api.reports import revision_fields

BUILD_SECONDS = 420.0
BOOT_SECONDS = 35

_GIT_URL = "https://git.kernel.org/pub/scm/linux/kernel/git/stable/linux.git"
_BOOTS = {"PASS": "PASS", "FAIL": "FAIL"}


class Results:
    """Keeps the documents of a revision in step with each other. Not for several threads at once."""

    def __init__(self, collections: Collections) -> None:
        self._collections = collections

    def kernel(self, revision: Revision, commit: str, arch: str, defconfig: str, environment: str, status: str) -> None:
        """One built kernel, by architecture, configuration and environment; a re-run replaces it."""
        job = self._job(revision, commit)
        key: Document = {
            **revision_fields(revision),
            "arch": arch,
            "defconfig_full": defconfig,
            "build_environment": environment,
        }
        folder = f"{revision.tree}/{revision.branch}/{revision.kernel}/{arch}/{defconfig}/{environment}"
        values: Document = {
            **_git(revision, commit),
            "defconfig": defconfig.partition("+")[0],
            "status": status,
            "job_id": job["_id"],
            "compiler": environment.partition("-")[0],
            "build_time": BUILD_SECONDS,
            "errors": 0 if status == "PASS" else 1,
            "warnings": 0,
            "file_server_resource": folder,
        }
        self._collections.put("build", key, values)

    def done(self, revision: Revision) -> None:
        """No kernel of this revision is awaited any more."""
        builds = self._collections.find("build", **revision_fields(revision))
        failed = any(build["status"] == "FAIL" for build in builds)
        self._job(revision)["status"] = "FAIL" if failed else "PASS"

    def plan(self, revision: Revision, lab: str, device: str, plan: str, statuses: Sequence[str]) -> None:
        """All cases of one plan on one device; a re-run replaces them. The cases of `boot` are boots."""
        where: Document = {**revision_fields(revision), "lab_name": lab, "device_type": device}
        if plan == "boot":
            self._boots(where, revision, statuses)
        else:
            self._groups(where, revision, plan, statuses)

    def _job(self, revision: Revision, commit: str = "") -> Document:
        """The revision's own document, made at the first sight of it."""
        key = revision_fields(revision)
        found = self._collections.find("job", **key)
        values: Document = {**_git(revision, commit), "status": "BUILD", "private": False}
        return found[0] if found else self._collections.add("job", {**key, **values})

    def _run(self, revision: Revision) -> Document:
        """What a test run copies from the kernel it ran: the first one that passed."""
        passed = self._collections.find("build", **revision_fields(revision), status="PASS")
        names = ("arch", "defconfig", "defconfig_full", "build_environment", "git_commit", "git_describe", "git_url")
        return {name: passed[0][name] for name in names} if passed else dict.fromkeys(names, "")

    def _boots(self, where: Document, revision: Revision, statuses: Sequence[str]) -> None:
        self._collections.remove("boot", self._collections.find("boot", **where))
        job, run = self._job(revision), self._run(revision)
        for status in statuses:
            values: Document = {
                **where,
                **run,
                "board": where["device_type"],
                "status": _BOOTS.get(status, "UNTRIED"),
                "job_id": job["_id"],
                "time": {"$date": BOOT_SECONDS * 1000},
                "retries": 0,
            }
            self._collections.add("boot", values)

    def _groups(self, where: Document, revision: Revision, plan: str, statuses: Sequence[str]) -> None:
        """A third of the cases lies in a sub-group, as in real results: who counts only the top group counts wrong."""
        for group in self._collections.find("test_group", **where, name=plan, parent_id=None):
            self._forget(group)
        job, run = self._job(revision), self._run(revision)
        common: Document = {**where, **run, "job_id": plain(job["_id"]), "time": len(statuses)}
        top = self._collections.add("test_group", {**common, "name": plan, "parent_id": None})
        sub = self._collections.add("test_group", {**common, "name": "dmesg", "parent_id": top["_id"]})
        groups = [sub if number % 3 == 2 else top for number in range(len(statuses))]  # noqa: PLR2004 (every third)
        cases = [
            self._collections.add("test_case", _case(group, number, status))
            for number, (group, status) in enumerate(zip(groups, statuses, strict=True), start=1)
        ]
        for group in (top, sub):
            group["test_cases"] = [plain(case["_id"]) for case in cases if case["test_group_id"] == group["_id"]]
            group["sub_groups"] = [sub["_id"]] if group is top else []

    def _forget(self, group: Document) -> None:
        doomed = [group, *self._collections.find("test_group", parent_id=group["_id"])]
        for old in doomed:
            self._collections.remove("test_case", self._collections.find("test_case", test_group_id=old["_id"]))
        self._collections.remove("test_group", doomed)


def _case(group: Document, number: int, status: str) -> Document:
    return {
        "name": f"case-{number}",
        "index": number,
        "test_group_id": group["_id"],
        "test_group_name": group["name"],
        "status": status,
        "time": 1.0,
    }


def _git(revision: Revision, commit: str) -> Document:
    return {"git_commit": commit, "git_describe": revision.kernel, "git_url": _GIT_URL}
