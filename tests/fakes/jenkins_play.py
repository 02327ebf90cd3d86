"""One cell of the fault matrix, played to its end: the trouble begins, is looked at, is lifted, and people go on."""

import base64
import re

from kcibot.core.run import BROKEN, Run, StepRecord
from kcibot.sandbox.http import Fault, FaultKind
from tests.fakes.ci_bench import TOKEN, CiBench
from tests.fakes.jenkins_faults import Cell, Scenario, world
from tests.fakes.jenkins_troubles import Span

FOR_GOOD = 10**6
FAULTY_MOVES = 5
PATIENT = 5.0
ONE_HANG, EACH_HANG = 0.5, 0.05
"""Real seconds until the bot gives up a request that hangs: once, or each time."""
SECRETS = (TOKEN, base64.b64encode(f"bot:{TOKEN}".encode()).decode(), "//bot@")
CRASHED = ("something went wrong that i did not expect", "traceback")


class Play:
    """One cell, played to its end. `wrong` are the sentences about what is not as it must be."""

    def __init__(self, scenario: Scenario, cell: Cell, ci: CiBench) -> None:
        self.wrong: list[str] = []
        self._scenario, self._cell, self._ci = scenario, cell, ci
        self._heard: set[str] = set()
        self._faults: list[Fault] = []

    def play(self) -> None:
        self._trouble_begins()
        self._scenario.begin(self._ci)
        self._look()
        for _ in range(FAULTY_MOVES):
            if self._scenario.over(self._ci):
                break
            refused = self._ci.jenkins.closed
            self._scenario.move(self._ci)
            self._look()
            if refused and self._cell.span is Span.ONCE:
                self._open()  # whoever asked in this move was refused
        if not self._went_off():
            self.wrong.append("the call was not made, so this cell says nothing")
        self._loud()
        self._lift()
        self._to_the_end()

    # ---- the trouble -------------------------------------------------------------------------------------------

    def _trouble_begins(self) -> None:
        ci, cell = self._ci, self._cell
        short = ONE_HANG if cell.span is Span.ONCE else EACH_HANG
        hangs = cell.trouble.kind is FaultKind.HANG
        ci.server._connection._timeout = short if hangs else PATIENT
        if cell.trouble.kind is not FaultKind.LAST:
            self._faults.append(self._fault())
        elif cell.call.index:
            self._faults.append(Fault(FaultKind.LAST, skip=cell.call.index - 1))
        else:
            ci.jenkins.close_port()
        for fault in self._faults:
            ci.jenkins.faults.add(fault)

    def _fault(self) -> Fault:
        call, trouble = self._cell.call, self._cell.trouble
        here = self._cell.span is Span.HERE
        return Fault(
            trouble.kind,
            f"^{re.escape(call.asked)}$" if here else "",
            1 if self._cell.span is Span.ONCE else FOR_GOOD,
            call.turn - 1 if here else call.index,
            trouble.status,
            change=trouble.change,
        )

    def _went_off(self) -> bool:
        return all(fault.times not in {1, FOR_GOOD} for fault in self._faults)

    def _open(self) -> None:
        if self._ci.jenkins.closed:
            self._ci.jenkins.open_port()

    def _lift(self) -> None:
        ci = self._ci
        ci.jenkins.faults.clear()
        self._open()
        ci.server._connection._timeout = PATIENT
        self._scenario.lifted(ci)

    def _to_the_end(self) -> None:
        """By itself; only what stands still and offers it is tried again by people."""
        scenario, ci = self._scenario, self._ci
        broken = _broken(ci)
        if broken and self._cell.span is Span.ONCE:
            self.wrong.append(f"it stands still after one fault: {broken.text}")
        if broken and not any("!release retry" in text for text in self._heard):
            self.wrong.append(f"nobody is offered to try again: {broken.text}")
        if broken:
            ci.say(f"!release retry {broken.id}")
        for _ in range(scenario.most):
            self._look()
            if scenario.over(ci) or _broken(ci):
                break
            scenario.move(ci)
        self._look()
        self.wrong += scenario.missing(ci)

    # ---- what is heard -----------------------------------------------------------------------------------------

    def _look(self) -> None:
        ci = self._ci
        ci.bench.deliver()
        for notice in ci.bench.notices.values():
            self._heard.update((notice.title, notice.brief, *notice.lines))
        for run in ci.bench.journal.runs(2):
            self._heard.update(step.text for step in run.steps)
        for text in self._heard:
            if any(mark in text.lower() for mark in CRASHED) or any(secret in text for secret in SECRETS):
                self._once(f"said: {text}")
        for lie in self._scenario.lies(ci):
            self._once(lie)

    def _loud(self) -> None:
        """What Jenkins did was said, unless it made no difference."""
        says = self._cell.trouble.says
        if says and not self._scenario.silent and not _settled_by_looking(self._cell):
            told = [text for text in self._heard if "Jenkins" in text and re.search(says, text)]
            if not told:
                self.wrong.append(f"nothing was said of it; the last words are: {_last_words(self._ci)}")

    def _once(self, what: str) -> None:
        if what not in self.wrong:
            self.wrong.append(what)


def _settled_by_looking(cell: Cell) -> bool:
    """An effect of which only the answer was lost. And an empty crumb means that none is wanted."""
    if cell.call.asked.startswith("GET /crumbIssuer"):
        return cell.trouble.kind is FaultKind.EMPTY
    lost = cell.trouble.kind in {FaultKind.RESET_AFTER, FaultKind.RESET_MIDWAY} and cell.span is not Span.EVERYWHERE
    return cell.call.asked.startswith("POST") and (lost or cell.span is Span.ONCE)


def _broken(ci: CiBench) -> StepRecord | None:
    runs = ci.bench.journal.runs(1)
    step = runs[0].current if runs and not runs[0].ended else None
    return step if step and step.state in BROKEN else None


def _last_words(ci: CiBench) -> str:
    runs: tuple[Run, ...] = ci.bench.journal.runs(1)
    return "; ".join(f"{step.title}: {step.state}, {step.text}" for step in runs[0].steps) if runs else "none"


def play(scenario: Scenario, cell: Cell) -> list[str]:
    """What is wrong in that cell."""
    with world(scenario) as ci:
        one = Play(scenario, cell, ci)
        one.play()
    return [f"{scenario.name}: {cell}: {what}" for what in one.wrong]
