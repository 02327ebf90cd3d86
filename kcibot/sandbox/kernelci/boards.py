"""Where the sandbox's kernels are tested: labs with their boards, the test plans that run there, and their cases."""

import zlib
from collections.abc import Mapping, Sequence
from enum import StrEnum
from itertools import cycle, islice
from types import MappingProxyType
from typing import NamedTuple

from kcibot.sandbox.kernelci.kernels import GCC, Kernel


class Board(NamedTuple):
    """A device type in a lab; as text, it is what a fault's pattern is held against."""

    lab: str
    device: str

    def __str__(self) -> str:
        return " ".join(self)


class Farm(StrEnum):
    """The labs: a FEW with a board or two for the demo, or TEN as production had them."""

    FEW = "few"
    TEN = "ten"


Boards = Mapping[tuple[str, str], tuple[Board, ...]]
"""(architecture, defconfig) -> what it is tested on, once it is built."""

_FEW_LABS: Boards = MappingProxyType(
    {
        ("arm", "multi_v7_defconfig"): (
            Board("lab-collabora", "rk3288-veyron-jaq"),
            Board("lab-baylibre", "meson8b-odroidc1"),
        ),
        ("arm", "exynos_defconfig"): (Board("lab-collabora", "odroid-xu3"),),
        ("arm64", "defconfig"): (
            Board("lab-baylibre", "meson-gxl-s905x-libretech-cc"),
            Board("lab-nxp", "imx8mn-ddr4-evk"),
        ),
        ("x86_64", "x86_64_defconfig"): (Board("lab-collabora", "minnowboard-turbot-E3826"),),
        ("i386", "i386_defconfig"): (Board("lab-broonie", "qemu_i386"),),
        ("mips", "malta_defconfig"): (Board("lab-broonie", "qemu_mips_malta"),),
        ("riscv", "defconfig"): (Board("lab-baylibre", "qemu_riscv64"),),
    }
)

_TEN_LABS = {
    "lab-baylibre": {
        "arm multi_v7_defconfig": "meson8b-odroidc1 sun8i-h3-libretech-all-h3-cc",
        "arm64 defconfig": "meson-gxl-s905x-libretech-cc meson-gxbb-p200",
        "riscv defconfig": "qemu_riscv64",
    },
    "lab-broonie": {
        "arm multi_v5_defconfig": "qemu_arm-versatilepb",
        "i386 defconfig": "qemu_i386",
        "mips malta_defconfig": "qemu_mips_malta",
    },
    "lab-collabora": {
        "arm exynos_defconfig": "odroid-xu3",
        "arm multi_v7_defconfig": "rk3288-veyron-jaq tegra124-nyan-big",
        "arm64 defconfig": "rk3399-gru-kevin",
        "x86_64 x86_64_defconfig": "minnowboard-turbot-E3826",
    },
    "lab-drue": {"arm64 defconfig": "hip07-d05", "x86_64 x86_64_defconfig": "x86-celeron"},
    "lab-embeddedbits": {"arm imx_v6_v7_defconfig": "imx6q-sabrelite", "arm multi_v7_defconfig": "beaglebone-black"},
    "lab-free-electrons": {
        "arm at91_dt_defconfig": "at91-sama5d4_xplained",
        "arm multi_v7_defconfig": "armada-370-db sun8i-a33-olinuxino",
        "arm64 defconfig": "armada-3720-db",
    },
    "lab-linaro-lkft": {"arm omap2plus_defconfig": "am57xx-beagle-x15", "arm64 defconfig": "dragonboard-410c juno"},
    "lab-mhart": {"arc hsdk_defconfig": "hsdk", "arm multi_v7_defconfig": "imx7d-sdb"},
    "lab-pengutronix": {"arm imx_v6_v7_defconfig": "imx6dl-riotboard", "arm multi_v7_defconfig": "stm32mp157c-dk2"},
    "lab-theobroma-systems": {
        "arm multi_v7_defconfig": "rk3288-rock2-square",
        "arm64 defconfig": "rk3399-puma-haikou",
    },
}
"""The labs of May 2019."""

PLANS = {
    "baseline": ("login", "dmesg.crit", "dmesg.alert", "dmesg.emerg", "bootrr.mmc-probed", "bootrr.rtc-probed"),
    "igt": ("core_auth", "core_getclient", "drm_read", "kms_addfb_basic", "kms_flip_event_leak", "kms_vblank"),
    "v4l2-compliance-vivid": ("VIDIOC_QUERYCAP", "VIDIOC_S_CTRL", "VIDIOC_CREATE_BUFS", "VIDIOC_EXPBUF", "Requests"),
}
"""What runs on every board: test plans, with the names that their cases begin with. What has a dot is in a group."""


def _ten_labs() -> Boards:
    found: dict[tuple[str, str], tuple[Board, ...]] = {}
    for lab, tested in _TEN_LABS.items():
        for kernel, devices in tested.items():
            arch, _, defconfig = kernel.partition(" ")
            boards = tuple(Board(lab, device) for device in devices.split())
            found[arch, defconfig] = (*found.get((arch, defconfig), ()), *boards)
    return MappingProxyType(found)


_FARMS: Mapping[Farm, Boards] = MappingProxyType({Farm.FEW: _FEW_LABS, Farm.TEN: _ten_labs()})


def boards_of(farm: Farm, kernel: Kernel) -> Sequence[Board]:
    """Only what the first compiler built is tested."""
    return _FARMS[farm].get((kernel.arch, kernel.defconfig), ()) if kernel.environment == GCC else ()


def boards(farm: Farm) -> Sequence[Board]:
    """All of them, sorted."""
    return sorted({board for tested in _FARMS[farm].values() for board in tested})


def cases(plan: str) -> tuple[str, ...]:
    """The names of its cases, always as many."""
    names = PLANS.get(plan, (plan,))
    count = 5 + zlib.crc32(plan.encode()) % 40
    return tuple(
        name if turn < len(names) else f"{name}-{turn // len(names)}"
        for turn, name in enumerate(islice(cycle(names), count))
    )
