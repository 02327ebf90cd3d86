"""The kernels that a pipe cleaner of the sandbox builds: architecture, configuration and compiler, with real names."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

GCC = "gcc-8"
CLANG = "clang-11"
CLANG_ARCHITECTURES = ("arm", "arm64", "x86_64")

COMMON_CONFIGS = ("allnoconfig", "tinyconfig", "defconfig")
ARM = (  # noqa: SIM905 (words are read better than a list of strings)
    "multi_v7 multi_v5 multi_v4t exynos imx_v6_v7 imx_v4_v5 omap2plus omap1 bcm2835 sunxi tegra qcom "
    "at91_dt davinci_all dove ep93xx hisi integrator iop32x ixp4xx keystone lpc18xx lpc32xx magician "
    "mainstone milbeaut_m10v mmp2 moxart mps2 mv78xx0 mvebu_v5 mvebu_v7 mxs netwinder nhk8815 orion5x "
    "oxnas_v6 palmz72 pcm027 prima2 pxa168 pxa3xx pxa910 pxa realview rpc s3c2410 s3c6400 s5pv210 sama5 "
    "shannon shmobile simpad socfpga spear13xx spear3xx spear6xx spitz stm32 tango4 tct_hammer trizeps4 "
    "u300 u8500 versatile vexpress vf610m4 viper vt8500_v6_v7 xcep zeus zx acs5k am200epdkit aspeed_g4 "
    "aspeed_g5 assabet axm55xx badge4 cerfcube clps711x cm_x300 cns3420vb colibri_pxa270 collie corgi "
    "ebsa110 efm32 eseries_pxa ezx footbridge gemini h3600 h5000 hackkit imote2 jornada720"
).split()
MIPS = (  # noqa: SIM905
    "32r2el 32r2 ar7 ath25 ath79 bcm47xx bcm63xx bigsur bmips_be bmips_stb capcella cavium_octeon ci20 "
    "cobalt cu1000-neo db1xxx decstation decstation_64 decstation_r4k e55 fuloong2e gcw0 gpr ip22 ip27 "
    "ip28 ip32 jazz jmr3927 lemote2f loongson1b loongson1c loongson3 malta malta_kvm malta_kvm_guest "
    "malta_qemu_32r6 maltaaprp maltasmvp maltasmvp_eva maltaup maltaup_xpa mpc30x msp71xx mtx1 nlm_xlp "
    "nlm_xlr omega2p pic32mzda pistachio pnx8335_stb225 qi_lb60 rb532 rbtx49xx rm200 rs90 rt305x "
    "sb1250_swarm tb0219 tb0226 tb0287 vocore2 workpad xway xilfpga sead3 sead3micro generic"
).split()
OWN_CONFIGS: dict[str, tuple[str, ...]] = {
    "arc": ("axs103", "axs103_smp", "haps_hs", "haps_hs_smp", "hsdk", "nsim_hs", "nsimosci_hs", "vdk_hs38"),
    "arm": tuple(ARM),
    "arm64": ("defconfig+CONFIG_CPU_BIG_ENDIAN=y", "defconfig+CONFIG_RANDOMIZE_BASE=y"),
    "i386": ("i386",),
    "mips": tuple(MIPS),
    "riscv": ("nommu_virt", "rv32"),
    "x86_64": ("x86_64", "x86_64+kselftest", "x86_64+crypto"),
}
FRAGMENTS = (
    "CONFIG_SMP=n",
    "CONFIG_EFI=y",
    "CONFIG_KASAN=y",
    "CONFIG_PROVE_LOCKING=y",
    "CONFIG_DEBUG_INFO=y",
    "CONFIG_IMA=y",
    "CONFIG_KALLSYMS_ALL=y",
    "CONFIG_MODULES=n",
    "CONFIG_PREEMPT=y",
    "CONFIG_UBSAN=y",
    "CONFIG_KCSAN=y",
)
"""What makes ten times as many kernels of the same configurations, where so many are asked for."""


class Kernel(NamedTuple):
    """One kernel; as text, it is what a fault's pattern is held against."""

    arch: str
    defconfig: str
    environment: str = GCC

    def __str__(self) -> str:
        return " ".join(self)


def kernels(count: int, compilers: Sequence[str] = (GCC,)) -> tuple[Kernel, ...]:
    """The first `count`, so spread that every architecture and compiler has its share; of one compiler 2,424 at most.

    Up to 202 of a compiler are the configurations in the kernel's tree, the others have a fragment added.
    """
    chosen: list[Kernel] = []
    for fragment in ("", *FRAGMENTS):
        found = chain.from_iterable(_ranked(arch, one, fragment) for one in compilers for arch in _built_by(one))
        ranked = [kernel for _, kernel in sorted(found)]
        chosen.extend(ranked[: count - len(chosen)])
    return tuple(sorted(chosen))


def _built_by(compiler: str) -> Sequence[str]:
    return CLANG_ARCHITECTURES if compiler.startswith("clang") else tuple(OWN_CONFIGS)


def _ranked(arch: str, compiler: str, fragment: str) -> Iterator[tuple[float, Kernel]]:
    """Each with its place between 0 and 1 in the architecture's list."""
    configs = [*COMMON_CONFIGS, *(_named(name) for name in OWN_CONFIGS[arch])]
    for place, name in enumerate(configs):
        yield place / len(configs), Kernel(arch, f"{name}+{fragment}" if fragment else name, compiler)


def _named(name: str) -> str:
    base, plus, fragment = name.partition("+")
    return name if base == "defconfig" else f"{base}_defconfig{plus}{fragment}"
