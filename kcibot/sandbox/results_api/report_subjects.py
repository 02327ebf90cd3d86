"""What the backend writes over its report mails, counted from what it knows when they are sent."""

from collections import Counter
from collections.abc import Iterable

from kcibot.core.ports import Revision
from kcibot.sandbox.results_api.documents import Collections, Document, plain

_CALLED = {"v4l2-compliance-uvc": "v4l2-compliance on uvcvideo", "v4l2-compliance-vivid": "v4l2-compliance on vivid"}


def subject(collections: Collections, revision: Revision, kind: str, plan: str) -> str:
    """Empty where the backend sends no mail: without results, and for a test plan without regressions."""
    where = {"job": revision.tree, "git_branch": revision.branch, "kernel": revision.kernel}
    start, end = f"{revision.tree}/{revision.branch}", f"({revision.kernel})"
    if kind == "build":
        builds = collections.find("build", **where)
        also = [_several(sum(int(row.get(name, 0)) for row in builds), name[:-1]) for name in ("errors", "warnings")]
        return f"{start} build: {', '.join((_ends(builds, 'build'), *filter(None, also)))} {end}" if builds else ""
    if kind == "boot":
        boots = collections.find("boot", **where)
        return f"{start} boot: {_ends(boots, 'boot')} {end}" if boots else ""
    groups = collections.find("test_group", **where, name=plan, parent_id=None)
    failed = sum(_failures(collections, group) for group in groups)
    return f"{start} {_CALLED.get(plan, plan)}: {len(groups)} runs, {failed} regressions {end}" if failed else ""


def _ends(rows: Iterable[Document], what: str) -> str:
    counts = Counter(str(row["status"]) for row in rows)
    return f"{_several(counts.total(), what)}: {counts['FAIL']} failed, {counts['PASS']} passed"


def _several(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}" if count else ""


def _failures(collections: Collections, group: Document) -> int:
    """Of the group and all below it. Whatever fails is taken to have passed before."""
    failed = collections.find("test_case", test_group_id=plain(group["_id"]), status="FAIL")
    below = collections.find("test_group", parent_id=group["_id"])
    return len(failed) + sum(_failures(collections, one) for one in below)
