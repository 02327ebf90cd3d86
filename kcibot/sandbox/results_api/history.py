"""A plausible run of one revision, made from a seed: kernels over seven architectures, results of ten labs."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import count, cycle, islice
from random import Random

from kcibot.core.ports import KernelResult, TestResult

LABS = (
    "lab-baylibre",
    "lab-broonie",
    "lab-collabora",
    "lab-drue",
    "lab-embeddedbits",
    "lab-free-electrons",
    "lab-linaro-lkft",
    "lab-mhart",
    "lab-pengutronix",
    "lab-theobroma-systems",
)
"""The labs of May 2019."""

_DEFCONFIGS = {
    "arc": ("axs103_defconfig", "axs103_smp_defconfig", "hsdk_defconfig", "nsim_hs_defconfig", "vdk_hs38_defconfig"),
    "arm": (
        *("multi_v7_defconfig", "at91_dt_defconfig", "bcm2835_defconfig", "davinci_all_defconfig", "exynos_defconfig"),
        *("imx_v6_v7_defconfig", "keystone_defconfig", "multi_v5_defconfig", "mvebu_v7_defconfig", "mxs_defconfig"),
        *("omap2plus_defconfig", "pxa_defconfig", "qcom_defconfig", "sama5_defconfig", "shmobile_defconfig"),
        *("socfpga_defconfig", "sunxi_defconfig", "tegra_defconfig", "u8500_defconfig", "vexpress_defconfig"),
    ),
    "arm64": ("defconfig", "defconfig+CONFIG_CPU_BIG_ENDIAN=y", "defconfig+CONFIG_RANDOMIZE_BASE=y"),
    "i386": ("i386_defconfig", "allnoconfig", "tinyconfig"),
    "mips": (
        *("32r2el_defconfig", "ath79_defconfig", "bcm47xx_defconfig", "bigsur_defconfig", "cavium_octeon_defconfig"),
        *("ip22_defconfig", "ip27_defconfig", "jazz_defconfig", "lemote2f_defconfig", "malta_defconfig"),
        *("pistachio_defconfig", "rb532_defconfig", "rt305x_defconfig", "sb1250_swarm_defconfig", "xway_defconfig"),
    ),
    "riscv": ("defconfig", "rv32_defconfig", "nommu_virt_defconfig"),
    "x86_64": ("x86_64_defconfig", "defconfig+kvm_guest", "allmodconfig"),
}

# How often each comes in a real run of about two hundred: boards are many on arm and mips, few elsewhere.
_MIX = ("arm", "mips", "arm64", "x86_64", "arc", "i386", "riscv", "arm", "mips", "arm", "mips", "arm", "arm", "mips")

_DEVICES = (
    *("am57xx-beagle-x15", "bcm2837-rpi-3-b", "beaglebone-black", "da850-lcdk", "hip07-d05", "imx6q-sabrelite"),
    *("meson-gxbb-p200", "meson-gxl-s905x-libretech-cc", "minnowboard-turbot-E3826", "mustang", "odroid-xu3"),
    *("panda", "qemu_arm64-virt-gicv3", "qemu_x86_64", "r8a7796-m3ulcb", "rk3288-veyron-jaq", "rk3399-gru-kevin"),
    *("rk3399-puma-haikou", "sun8i-h3-libretech-all-h3-cc", "tegra124-nyan-big", "x86-celeron", "zynqmp-zcu102"),
)

_PLANS = {"sleep": 21, "usb": 3, "v4l2-compliance-uvc": 44, "v4l2-compliance-vivid": 58, "igt": 36}
"""Test plan -> its usual number of cases."""

PASSING_KERNELS = 0.97
PASSING_CASES = 0.95


def kernels(number: int, random: Random) -> list[KernelResult]:
    """So many different kernels, nearly all of which passed."""
    sources = {arch: _defconfigs(arch) for arch in _DEFCONFIGS}
    made = []
    for arch in islice(cycle(_MIX), number):
        defconfig, environment = next(sources[arch])
        status = "PASS" if random.random() < PASSING_KERNELS else "FAIL"
        made.append(KernelResult(arch, defconfig, environment, status))
    return made


def tests(labs: int, random: Random) -> list[TestResult]:
    """Results of that many labs, at most all of `LABS`; every device was booted, some ran more."""
    return [result for lab in LABS[:labs] for result in _of_lab(lab, random)]


def cases(statuses: Sequence[str]) -> Mapping[str, str]:
    """Names for cases of which only the statuses are known.

    A third lies in a sub-group, as in real results: who counts only the top group counts wrong.
    """
    names = (f"{'dmesg.' if number % 3 == 0 else ''}case-{number}" for number in count(1))
    return dict(zip(names, statuses, strict=False))


def _of_lab(lab: str, random: Random) -> Iterator[TestResult]:
    for device in random.sample(_DEVICES, random.randint(2, 5)):
        yield _result(lab, device, "boot", random.randint(1, 6), random)
        for plan in random.sample(sorted(_PLANS), random.randint(0, 2)):
            yield _result(lab, device, plan, _PLANS[plan], random)


def _result(lab: str, device: str, plan: str, cases: int, random: Random) -> TestResult:
    passed = sum(random.random() < PASSING_CASES for _ in range(cases))
    return TestResult(lab, device, plan, passed, cases - passed)


def _defconfigs(arch: str) -> Iterator[tuple[str, str]]:
    """Different pairs of configuration and build environment, without end."""
    for environment in ("gcc-8", "clang-8"):
        for name in _DEFCONFIGS[arch]:
            yield name, environment
    for number in count(1):
        yield f"randconfig-{number}", "gcc-8"
