"""Whether what we said arrived: the server's echo of it, or its refusal."""

import threading
from concurrent.futures import Future
from dataclasses import dataclass, field

from kcibot.errors import KcibotError, OutcomeUnknown, TransientError


@dataclass
class Receipt:
    """Of one line: `seen` becomes the id under which the network knows it, empty where it has none."""

    label: str
    target: str
    text: str
    seen: Future[str] = field(default_factory=Future)

    @property
    def message_id(self) -> str | None:
        """None while it is not known that it arrived."""
        done = self.seen.done() and not self.seen.cancelled() and self.seen.exception() is None
        return self.seen.result() if done else None


MOST = 1000
"""Lines without an echo that are remembered; some networks swallow a line without a word."""


class Receipts:
    """Of one connection, in the order in which the lines were sent."""

    def __init__(self) -> None:
        self._waiting: dict[str, Receipt] = {}
        self._number = 0
        self._lost = ""
        self._lock = threading.Lock()

    def expect(self, target: str, text: str) -> Receipt:
        """Before the line is sent."""
        with self._lock:
            self._number += 1
            receipt = Receipt(f"k{self._number}", target, text)
            if self._lost:
                receipt.seen.set_exception(TransientError(self._lost))
            else:
                self._waiting[receipt.label] = receipt
                if len(self._waiting) > MOST:
                    del self._waiting[next(iter(self._waiting))]
        return receipt

    def forget(self, receipt: Receipt) -> None:
        """It certainly was not sent."""
        with self._lock:
            self._waiting.pop(receipt.label, None)

    def echoed(self, label: str, target: str, text: str, message_id: str) -> None:
        receipt = self._take(label, target, text)
        if receipt:
            receipt.seen.set_result(message_id)

    def answered(self, label: str) -> None:
        """The server answered to what was sent right behind the line of that label, and so has it."""
        receipt = self._take(label, "", "") if label else None
        if receipt:
            receipt.seen.set_result("")

    def refused(self, label: str, target: str, why: str) -> None:
        """The server did not pass it on."""
        receipt = self._take(label, target, "")
        if receipt:
            receipt.seen.set_exception(TransientError(f"The IRC server does not take it for {target}: {why}"))

    def lost(self, why: str) -> None:
        """The connection is gone: of what was under way nobody knows."""
        with self._lock:
            self._lost = why
            waiting, self._waiting = list(self._waiting.values()), {}
        error: KcibotError = OutcomeUnknown(f"It may or may not have been said on IRC: {why}")
        for receipt in waiting:
            receipt.seen.set_exception(error)

    def _take(self, label: str, target: str, text: str) -> Receipt | None:
        """The one of that label; else the oldest of that text; else, as servers change texts, the oldest there."""
        with self._lock:
            if label:
                return self._waiting.pop(label, None)
            there = [one for one in self._waiting.values() if one.target == target]
            same = [one for one in there if one.text == text]
            oldest = next(iter(same or there), None)
            return self._waiting.pop(oldest.label) if oldest else None
