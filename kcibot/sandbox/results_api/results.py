"""Builds, boots and tests as the backend writes them down."""

from collections.abc import Mapping, Sequence

from kcibot.core.ports import Revision
from kcibot.sandbox.results_api.documents import Collections, Document, plain
from kcibot.sandbox.results_api.reports import revision_fields

BUILD_SECONDS = 420.0
BOOT_SECONDS = 35

_GIT_URL = "https://git.kernel.org/pub/scm/linux/kernel/git/stable/linux.git"
_BOOTS = {"PASS": "PASS", "FAIL": "FAIL"}
_ENDS = ("PASS", "FAIL", "SKIP", "ERROR")
_MACHS = {"arm": "omap2", "arm64": "amlogic", "mips": "malta", "x86_64": "x86"}


class Results:
    """Keeps the documents of a revision in step with each other. Not for several threads at once."""

    def __init__(self, collections: Collections) -> None:
        self._collections = collections

    def kernel(
        self,
        revision: Revision,
        commit: str,
        arch: str,
        defconfig: str,
        environment: str,
        status: str,
        *,
        warnings: int = 0,
    ) -> None:
        """One built kernel, by architecture, configuration and environment; a re-run replaces it."""
        job = self._job(revision, commit)
        key: Document = {
            **revision_fields(revision),
            "arch": arch,
            "defconfig_full": defconfig,
            "build_environment": environment,
        }
        values: Document = {
            **_git(revision, commit),
            **_compiler(environment),
            **_files(f"{revision.tree}/{revision.branch}/{revision.kernel}/{arch}/{defconfig}/{environment}", status),
            "defconfig": defconfig.partition("+")[0],
            "kconfig_fragments": defconfig.partition("+")[2],
            "status": status,
            "job_id": job["_id"],
            "build_time": BUILD_SECONDS,
            "build_platform": ["Linux", "builder", "x86_64"],
            "build_type": "kernel",
            "errors": 0 if status == "PASS" else 1,
            "warnings": warnings,
            "mismatches": 0,
        }
        self._collections.put("build", key, values)

    def done(self, revision: Revision) -> None:
        """No kernel of this revision is awaited any more."""
        builds = self._collections.find("build", **revision_fields(revision))
        failed = any(build["status"] == "FAIL" for build in builds)
        self._job(revision)["status"] = "FAIL" if failed else "PASS"

    def plan(self, revision: Revision, lab: str, device: str, plan: str, cases: Mapping[str, str]) -> None:
        """All cases of one plan on one device, name -> status; a re-run replaces them. The cases of `boot` are boots.

        A name with dots is a path: what stands before the last of them are sub-groups. ValueError for another status
        than the backend's.
        """
        strange = set(cases.values()) - set(_ENDS)
        if strange:
            raise ValueError(f"a case ends as one of {', '.join(_ENDS)}, not {', '.join(sorted(strange))}")
        where: Document = {**revision_fields(revision), "lab_name": lab, "device_type": device}
        if plan == "boot":
            self._boots(where, revision, list(cases.values()))
        else:
            self._groups(where, revision, plan, cases)

    def _job(self, revision: Revision, commit: str = "") -> Document:
        """The revision's own document, made at the first sight of it."""
        key = revision_fields(revision)
        values: Document = {**_git(revision, commit), "status": "BUILD", "private": False}
        return self._collections.first("job", **key) or self._collections.add("job", {**key, **values})

    def _run(self, revision: Revision) -> Document:
        """What a test run copies from the kernel it ran: the first one that passed."""
        passed = self._collections.first("build", **revision_fields(revision), status="PASS")
        return {name: passed[name] for name in _COPIED} if passed else dict.fromkeys(_COPIED, "")

    def _boots(self, where: Document, revision: Revision, statuses: Sequence[str]) -> None:
        self._collections.remove("boot", self._collections.find("boot", **where))
        job, run = self._job(revision), self._run(revision)
        for status in statuses:
            values: Document = {
                **where,
                **run,
                "board": where["device_type"],
                "mach": _MACHS.get(run["arch"], "generic"),
                "status": _BOOTS.get(status, "UNTRIED"),
                "job_id": job["_id"],
                "time": {"$date": BOOT_SECONDS * 1000},
                "endian": "little",
                "boot_log": f"{where['device_type']}.txt",
                "boot_result_description": "" if status == "PASS" else "Kernel panic",
                "warnings": 0,
                "retries": 0,
                "metadata": {},
            }
            self._collections.add("boot", values)

    def _groups(self, where: Document, revision: Revision, plan: str, cases: Mapping[str, str]) -> None:
        """One group for the plan, one below it for every path that a case lies in."""
        for group in self._collections.find("test_group", **where, name=plan, parent_id=None):
            self._forget(group)
        job, run = self._job(revision), self._run(revision)
        common: Document = {
            **where,
            **run,
            "board": where["device_type"],
            "job_id": plain(job["_id"]),
            "time": len(cases),
        }
        groups: dict[tuple[str, ...], Document] = {(): self._group(common, plan, None)}
        for number, (path, status) in enumerate(cases.items(), start=1):
            *above, name = path.split(".")
            group = self._below(groups, common, tuple(above))
            case = self._collections.add("test_case", _case(group, number, name, status))
            group["test_cases"].append(plain(case["_id"]))

    def _below(self, groups: dict[tuple[str, ...], Document], common: Document, path: tuple[str, ...]) -> Document:
        """The group at the path, made with those above it where there is none yet."""
        if path not in groups:
            parent = self._below(groups, common, path[:-1])
            groups[path] = self._group(common, path[-1], parent["_id"])
            parent["sub_groups"].append(groups[path]["_id"])
        return groups[path]

    def _group(self, common: Document, name: str, parent: str | None) -> Document:
        lists: Document = {"test_cases": [], "sub_groups": []}
        return self._collections.add("test_group", {**common, **lists, "name": name, "parent_id": parent})

    def _forget(self, group: Document) -> None:
        for below in self._collections.find("test_group", parent_id=group["_id"]):
            self._forget(below)
        self._collections.remove("test_case", self._collections.find("test_case", test_group_id=group["_id"]))
        self._collections.remove("test_group", [group])


_COPIED = (
    *("arch", "defconfig", "defconfig_full", "build_environment", "git_commit", "git_describe", "git_url"),
    *("compiler", "compiler_version", "compiler_version_ext", "file_server_resource", "kernel_image"),
)


def _case(group: Document, number: int, name: str, status: str) -> Document:
    return {
        "name": name,
        "index": number,
        "test_group_id": group["_id"],
        "test_group_name": group["name"],
        "status": status,
        "time": 1.0,
        "measurements": [],
        "metadata": {},
    }


def _git(revision: Revision, commit: str) -> Document:
    return {"git_commit": commit, "git_describe": revision.kernel, "git_url": _GIT_URL}


def _compiler(environment: str) -> Document:
    name, _, version = environment.partition("-")
    return {
        "compiler": name,
        "compiler_version": version,
        "compiler_version_ext": f"{name} {version}".strip(),
        "compiler_version_full": f"{name} (Debian) {version}".strip(),
        "cross_compile": "",
    }


def _files(folder: str, status: str) -> Document:
    """What the build left on the file server, which such documents do not name: everybody knows where it is."""
    built: Document = {"kernel_image": "Image", "system_map": "System.map", "modules": "modules.tar.xz"}
    return {
        "dirname": folder,
        "file_server_resource": folder,
        "build_log": "build.log",
        "kernel_config": "kernel.config",
        **(built if status == "PASS" else dict.fromkeys(built, "")),
    }
