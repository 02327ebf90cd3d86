"""`!pipecleaner history` and `show`: what was judged once can be looked up as long as the journal is kept."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from kcibot.sdk import Call, KcibotError, Notice, Outcome, Picture, UserError, command, moment, span
from kcibot_commands.pipecleaner.baseline import HISTORY
from kcibot_commands.pipecleaner.configs import PipecleanerSettings
from kcibot_commands.pipecleaner.past import Past, drawn, found, meant, past
from kcibot_commands.pipecleaner.results import Compared, compare_results, shown, summary
from kcibot_commands.rules.results import table
from kcibot_commands.rules.verdict import judge

SHOWN = "10"
MOST = 50
HEADS = ("run", "judged", "kernel", "series", "verdict", "passed/failed", "tests", "took", "accepted by")
NONE_YET = "There has been no pipe cleaner yet: !pipecleaner CONFIG runs one."


@command("pipecleaner history", role="observer", example="!pipecleaner history 20")
def pipecleaner_history(call: Call, number_or_kernel: str = SHOWN) -> Outcome:
    """List the last pipe cleaners with their verdicts, or show that of one kernel again."""
    if not number_or_kernel.isdigit():
        return Outcome(_shown(call, number_or_kernel))
    rows = past(call.world.journal.recall(HISTORY))[: max(1, min(int(number_or_kernel), MOST))]
    return Outcome(Notice("Pipe cleaners, newest first" if rows else NONE_YET, lines=_table(call, rows)))


@command("pipecleaner show", role="observer", example="!pipecleaner show 12")
def pipecleaner_show(call: Call, run_or_kernel: str = "") -> Outcome:
    """Show a past pipe cleaner again, with its table and all reasons; the last one if none is named."""
    return Outcome(_shown(call, run_or_kernel))


# ---- the table -------------------------------------------------------------------------------------------------


def _table(call: Call, rows: Sequence[Past]) -> tuple[str, ...]:
    """A head and a row each, in columns."""
    cells = [HEADS, *(_cells(call, row) for row in rows)] if rows else []
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return tuple(_row(row, widths) for row in cells)


def _row(cells: Iterable[str], widths: Iterable[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _cells(call: Call, row: Past) -> tuple[str, ...]:
    tests = f"{100 * row.passed_cases / row.cases:.1f} %" if row.cases else "-"
    return (
        str(row.run),
        moment(row.at, call.world.clock.now()),
        row.kernel,
        row.series or "-",
        row.said,
        f"{row.kernels - row.failed}/{row.failed}",
        tests,
        span(row.took) if row.took else "-",
        accepted_by(row) or "nobody",
    )


def accepted_by(row: Past) -> str:
    """`manager-1 and manager-2`; earlier versions did not keep who it was. Empty if nobody has."""
    return row.accepted_by or ("people" if row.accepted else "")


# ---- one of them -----------------------------------------------------------------------------------------------


def chosen(call: Call, name: str) -> Past:
    """The past pipe cleaner of that name. Raises UserError, which names the one that may be meant."""
    rows = past(call.world.journal.recall(HISTORY))
    if not rows:
        raise UserError(NONE_YET)
    row = found(rows, name) if name else rows[0]
    if row is None:
        raise UserError(
            f"there was no pipe cleaner {name}. Is {meant(rows, name)} meant? !pipecleaner history lists them"
        )
    return row


def snapshot_of(call: Call, row: Past) -> Compared:
    """What was judged then. Raises UserError if the run is judging anew, or an earlier version of the bot judged it."""
    run = call.world.journal.run(row.run)
    value = next((step.value for step in run.steps if step.id == compare_results.id and step.ended_at), None)
    if value is None:
        raise UserError(f"the results of {row.kernel} are being looked at again: !pipecleaner status")
    try:
        return call.world.journal.codec.load(Compared, value)
    except KcibotError as error:
        raise UserError(f"the results of {row.kernel} were kept by an earlier version and cannot be shown") from error


def _shown(call: Call, name: str) -> Notice:
    row = chosen(call, name)
    compared, now = snapshot_of(call, row), call.world.clock.now()
    lines = (
        f"Judged {moment(row.at, now)}, {span(row.took)} after its start. Accepted by {accepted_by(row) or 'nobody'}.",
        *shown(compared),
    )
    title = f"Pipe cleaner {row.kernel} (run {row.run}): {summary(compared)}"
    return Notice(title, lines=lines, picture=picture_of(call, row, row.baseline))


def picture_of(call: Call, row: Past, baseline: str) -> Picture | None:
    """Its curves beside those of the run that it was compared with."""
    recalled = call.world.journal.recall(HISTORY)
    return drawn(recalled, row.kernels_curve, row.tests_curve, baseline, f"Pipe cleaner {row.kernel}")


# ---- two of them -----------------------------------------------------------------------------------------------


def beside(call: Call, name: str) -> Notice:
    """The last pipe cleaner's snapshot judged against that of another, as both were kept. Nothing is asked for anew."""
    last, other = chosen(call, ""), chosen(call, name)
    if other.run == last.run:
        raise UserError(f"the last pipe cleaner is {other.kernel} itself: name an older one (!pipecleaner history)")
    now, then = snapshot_of(call, last), snapshot_of(call, other).snapshot
    thresholds = call.settings(PipecleanerSettings).thresholds
    verdict, rows = judge(now.snapshot, then, thresholds), table(now.snapshot, then)
    compared = replace(now, baseline=then.kernel, why=f"run {other.run}", rows=rows, verdict=verdict)
    title = f"Pipe cleaner {last.kernel} beside {other.kernel}: {summary(compared)}"
    return Notice(title, lines=shown(compared), picture=picture_of(call, last, other.kernel))
