"""Every case of the verdict's table, with what makes it happen in the sandbox and what must be proposed and why."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from kcibot.sandbox.http import Fault, FaultKind, StandIn
from kcibot.sandbox.kernelci.settings import Faults
from kcibot.sandbox.kernelci.world import Sandbox
from kcibot_commands.rules.verdict import Kind

ONE_KERNEL = "arm tegra_defconfig gcc-8"
"""One that no lab tests."""
TESTED_KERNEL = "arm multi_v7_defconfig gcc-8"
"""One that seven labs test."""
MOST_REQUESTS = 1_000_000


@dataclass(frozen=True)
class Scenario:
    """One case. The reason `rule` must be given, with `named` in its text; an empty one means that none is needed.
    No reason at all may have `unnamed` in its text, if it is given.

    `faults` are those of the run, `past` those of the baseline. `settings` are the bot's. `earlier` is
    the baseline's kernel, if it is not the sandbox's own. `after_builds` is done to the world when Jenkins is through.
    """

    name: str
    expected: Kind
    rule: str = ""
    named: str = ""
    unnamed: str = ""
    faults: Faults = field(default_factory=Faults)
    past: Faults = field(default_factory=Faults)
    settings: Mapping[str, Any] = field(default_factory=dict)
    earlier: str | None = None
    after_builds: Callable[[Sandbox], None] | None = None


def unreachable(server: StandIn) -> None:
    """It answers nothing but errors from now on."""
    server.faults.add(Fault(FaultKind.STATUS, times=MOST_REQUESTS, status=503))


SCENARIOS = (
    Scenario("all-as-in-the-baseline", Kind.PASS),
    Scenario("kernel-fails-twice", Kind.FAIL, "build regression", ONE_KERNEL, faults=Faults(fails=(ONE_KERNEL,))),
    Scenario(
        "kernel-fails-though-jenkins-says-success",
        Kind.FAIL,
        "build regression",
        ONE_KERNEL,
        faults=Faults(fails=(ONE_KERNEL,), unnoticed=(ONE_KERNEL,)),
    ),
    Scenario("kernel-fails-once", Kind.PASS, "flaky", ONE_KERNEL, faults=Faults(fails_once=(ONE_KERNEL,))),
    Scenario(
        "tested-kernel-fails-once",
        Kind.PASS,
        "flaky",
        TESTED_KERNEL,
        unnamed="lab-",
        faults=Faults(fails_once=(TESTED_KERNEL,)),
    ),
    Scenario(
        "kernel-failed-before",
        Kind.PASS,
        "known",
        ONE_KERNEL,
        faults=Faults(fails=(ONE_KERNEL,)),
        past=Faults(fails=(ONE_KERNEL,)),
    ),
    Scenario("kernel-never-built", Kind.FAIL, "coverage", ONE_KERNEL, faults=Faults(unbuilt=(ONE_KERNEL,))),
    Scenario("architecture-fails", Kind.FAIL, "tool chain", "mips", faults=Faults(fails=("mips *",))),
    Scenario("compiler-fails", Kind.FAIL, "tool chain", "clang-11", faults=Faults(fails=("* clang-11",))),
    Scenario(
        "time-limit",
        Kind.FAIL,
        "incomplete",
        faults=Faults(hangs=("mips *_defconfig gcc-8",)),
        settings={"timeout": timedelta(hours=4)},
    ),
    Scenario("lab-offline", Kind.WARN, "lab missing", "lab-mhart", faults=Faults(labs=("lab-mhart",))),
    Scenario(
        "labs-offline",
        Kind.FAIL,
        "labs",
        "lab-collabora",
        faults=Faults(labs=("lab-collabora", "lab-mhart", "lab-pengutronix", "lab-theobroma-systems")),
    ),
    Scenario("device-offline", Kind.PASS, "device", "odroid-xu3", faults=Faults(boards=("lab-collabora odroid-xu3",))),
    Scenario(
        "test-fails-everywhere",
        Kind.FAIL,
        "test regression",
        "igt kms_vblank",
        faults=Faults(cases=("* igt kms_vblank",)),
    ),
    Scenario(
        "test-fails-on-one-board",
        Kind.WARN,
        "test fails",
        "igt kms_vblank",
        faults=Faults(cases=("lab-collabora odroid-xu3 igt kms_vblank",)),
    ),
    Scenario("more-warnings", Kind.WARN, "warnings", faults=Faults(warnings=0.25)),
    Scenario("build-mail-missing", Kind.FAIL, "reports", "build mail", faults=Faults(mails=frozenset({"build"}))),
    Scenario("test-mail-missing", Kind.PASS, "reports", "igt", faults=Faults(mails=frozenset({"igt"}))),
    Scenario(
        "results-api-unreachable",
        Kind.UNKNOWN,
        "unreachable",
        "results API",
        settings={"timeout": timedelta(hours=4)},
        after_builds=lambda world: unreachable(world.api),
    ),
    Scenario(
        "jenkins-unreachable",
        Kind.UNKNOWN,
        "unreachable",
        "Jenkins",
        settings={"timeout": timedelta(hours=4)},
        after_builds=lambda world: unreachable(world.jenkins),
    ),
    Scenario("other-series", Kind.PASS, "other series", "v5.4.158", earlier="v5.4.158"),
    Scenario("no-baseline", Kind.NONE, "no baseline", earlier=""),
)
