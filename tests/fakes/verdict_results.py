"""Results of a pipe cleaner at the real size, and what can be wrong with them."""

from dataclasses import replace

from kcibot_commands.rules.results import BoardResult, Ended, Kernel, KernelKey, Mail, MailState, Results, Status

ARCHS = ("arc", "arm", "arm64", "i386", "mips", "riscv", "x86_64")
PASS, FAIL, UNKNOWN = Status.PASS, Status.FAIL, Status.UNKNOWN
SEEN = MailState.SEEN
KEYS = tuple(
    KernelKey(ARCHS[n % 7], f"config{n // 7}", "clang-8" if n % 7 == 2 and n < 70 else "gcc-8") for n in range(220)
)
LABS = tuple(f"lab-{n}" for n in range(10))
OWN_BOARDS = tuple((lab, f"board-{n}-{lab}") for lab in LABS for n in range(3))
BOARDS = (*OWN_BOARDS, ("lab-0", "shared"), ("lab-1", "shared"))
BASELINE = Results(
    kernel="v5.0.4",
    series="5.0",
    ended=Ended.COMPLETE,
    kernels=tuple(Kernel(key, (PASS,), warnings=1) for key in KEYS),
    tests=tuple(BoardResult(lab, device, plan, 10, 0) for lab, device in BOARDS for plan in ("baseline", "igt")),
    mails=(Mail("build", MailState.SEEN), Mail("boot", MailState.SEEN), Mail("test", MailState.SEEN, "igt")),
)
SAME = replace(BASELINE, kernel="v5.0.5")


def with_kernels(results, **attempts):
    """Other attempts of some kernels, by their number: k7=(FAIL, PASS); None takes the kernel out."""
    changes = {KEYS[int(name[1:])]: value for name, value in attempts.items()}
    kernels = [
        replace(kernel, attempts=changes.get(kernel.key, kernel.attempts))
        for kernel in results.kernels
        if changes.get(kernel.key, ()) is not None
    ]
    return replace(results, kernels=tuple(kernels))


def failing(results, chosen, attempts=(FAIL, FAIL)):
    kernels = (replace(one, attempts=attempts) if chosen(one.key) else one for one in results.kernels)
    return replace(results, kernels=tuple(kernels))


def with_tests(results, change):
    """Each test's result through a function that gives another one, or None to take it out."""
    return replace(results, tests=tuple(new for test in results.tests if (new := change(test)) is not None))


def without_labs(count):
    return with_tests(SAME, lambda test: None if test.lab in LABS[:count] else test)


def broken(*boards, test="igt"):
    """That test failing on those boards."""
    return with_tests(
        SAME,
        lambda one: replace(one, passed=9, failed=1) if one.test == test and (one.lab, one.device) in boards else one,
    )


def with_mail(kind, state, plan=""):
    return replace(SAME, mails=(*(mail for mail in SAME.mails if mail.kind != kind), Mail(kind, state, plan)))


def with_rate(passed_of_ten):
    """Failures spread so that no test fails on a board on which it passed before."""
    unstable = with_tests(BASELINE, lambda test: replace(test, passed=98, failed=2))
    return unstable, with_tests(SAME, lambda test: replace(test, passed=passed_of_ten, failed=100 - passed_of_ten))


def late(kernels):
    return replace(SAME, kernels=SAME.kernels[:kernels], ended=Ended.TIME_LIMIT)


def warned(more):
    """So many warnings more than the 220 of the baseline."""
    kernels = (replace(one, warnings=1 + (n < more)) for n, one in enumerate(SAME.kernels))
    return replace(SAME, kernels=tuple(kernels))


def without_type(device):
    return with_tests(SAME, lambda test: None if test.device == device else test)


ONE_TEST_ON_ALL = broken(*BOARDS)
