"""KernelCI's job definitions and what they build, as far as the sandbox imitates them (the state of 2021)."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

MONITOR = "kernel-tree-monitor"
TRIGGER = "kernel-build-trigger"
KERNEL_BUILD = "kernel-build"
COMPLETE = "kernel-arch-complete"
TEST_RUNNER = "test-runner"
ROOTFS_TRIGGER = "rootfs-build-trigger"
ROOTFS_BUILDER = "rootfs-builder"
BISECTION = "lava-bisection"
JOB_DSL = "job-dsl"

MONITOR_TIMER = "H H/2 * * *"

ROOTFS_ARCHITECTURES: dict[str, tuple[str, ...]] = {
    "buster": ("amd64", "arm64", "armel", "armhf", "i386", "mips", "mips64el", "mipsel"),
    "buster-cros-ec": ("amd64", "arm64", "armhf"),
    "buster-igt": ("amd64", "arm64", "armhf", "i386"),
    "buster-kselftest": ("amd64", "arm64", "armhf"),
    "buster-ltp": ("amd64", "arm64", "armhf"),
    "buster-v4l2": ("amd64", "arm64", "armhf"),
    "sid": ("amd64",),
}
ROOTFS_FILES = (
    "initrd.cpio.gz",
    "rootfs.cpio.gz",
    "full.rootfs.tar.xz",
    "full.rootfs.cpio.gz",
    "rootfs.ext4.xz",
    "build_info.json",
)

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
ENVIRONMENT = "gcc-8"

DEVICES: dict[tuple[str, str], tuple[tuple[str, str], ...]] = {
    ("arm", "multi_v7_defconfig"): (("lab-collabora", "rk3288-veyron-jaq"), ("lab-baylibre", "meson8b-odroidc1")),
    ("arm", "exynos_defconfig"): (("lab-collabora", "odroid-xu3"),),
    ("arm64", "defconfig"): (("lab-baylibre", "meson-gxl-s905x-libretech-cc"), ("lab-nxp", "imx8mn-ddr4-evk")),
    ("x86_64", "x86_64_defconfig"): (("lab-collabora", "minnowboard-turbot-E3826"),),
    ("i386", "i386_defconfig"): (("lab-broonie", "qemu_i386"),),
    ("mips", "malta_defconfig"): (("lab-broonie", "qemu_mips_malta"),),
    ("riscv", "defconfig"): (("lab-baylibre", "qemu_riscv64"),),
}
"""What of it is tested: (architecture, defconfig) -> (lab, device)."""


def kernels(count: int) -> tuple[tuple[str, str], ...]:
    """The first `count` (architecture, defconfig), so spread that every architecture has its share; 202 at most."""
    per_arch = {arch: [*COMMON_CONFIGS, *(_named(name) for name in own)] for arch, own in OWN_CONFIGS.items()}
    ranked = sorted(
        (
            (place / len(configs), arch, name)
            for arch, configs in per_arch.items()
            for place, name in enumerate(configs)
        ),
        key=lambda one: (one[0], one[1]),
    )
    chosen = [(arch, name) for _, arch, name in ranked[:count]]
    return tuple(sorted(chosen))


def _named(name: str) -> str:
    base, plus, fragment = name.partition("+")
    return name if base == "defconfig" else f"{base}_defconfig{plus}{fragment}"


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    default: str = ""
    is_bool: bool = False


KCI = (
    Parameter("KCI_API_URL", "https://api.kernelci.org"),
    Parameter("KCI_API_TOKEN_ID", "kernelci-api-token"),
    Parameter("KCI_STORAGE_URL", "https://storage.kernelci.org"),
    Parameter("KCI_CORE_URL", "https://github.com/kernelci/kernelci-core.git"),
    Parameter("KCI_CORE_BRANCH", "kernelci.org"),
    Parameter("DOCKER_BASE", "kernelci/"),
)
SWITCHES = (Parameter("PUBLISH", "true", is_bool=True), Parameter("EMAIL", "true", is_bool=True))


def _strings(names: str) -> tuple[Parameter, ...]:
    return tuple(Parameter(name) for name in names.split())


PIPELINES: dict[str, tuple[str, tuple[Parameter, ...], str]] = {
    MONITOR: ("Looks for new commits", (*_strings("CONFIG_LIST"), *KCI), MONITOR_TIMER),
    TRIGGER: (
        "Builds one revision of one build config",
        (
            *_strings("BUILD_CONFIG COMMIT_ID LABS_WHITELIST"),
            *SWITCHES,
            Parameter("ALLOW_REBUILD", "false", is_bool=True),
            *KCI,
        ),
        "",
    ),
    KERNEL_BUILD: (
        "Builds one kernel",
        (
            *_strings("ARCH DEFCONFIG BUILD_CONFIG BUILD_ENVIRONMENT TREE_NAME BRANCH COMMIT_ID GIT_DESCRIBE"),
            *_strings("GIT_DESCRIBE_VERBOSE SRC_TARBALL LABS"),
            Parameter("PARALLEL_BUILDS", "4"),
            *SWITCHES,
            *KCI,
        ),
        "",
    ),
    COMPLETE: ("Ends a revision", (*_strings("TREE_NAME BRANCH GIT_DESCRIBE"), *SWITCHES, *KCI), ""),
    TEST_RUNNER: (
        "Submits test jobs to the labs",
        (
            *_strings("LABS TRIGGER_JOB_NAME TRIGGER_JOB_NUMBER BUILD_JOB_NAME BUILD_JOB_NUMBER"),
            *_strings("CALLBACK_ID CALLBACK_URL ARCH DEFCONFIG TREE_NAME BRANCH GIT_DESCRIBE BUILD_CONFIG"),
            *KCI,
        ),
        "",
    ),
    ROOTFS_TRIGGER: ("Builds root file systems", (*_strings("ROOTFS_CONFIG ROOTFS_ARCH PIPELINE_VERSION"), *KCI), ""),
    ROOTFS_BUILDER: (
        "Builds one root file system",
        (*_strings("ROOTFS_CONFIG ROOTFS_ARCH PIPELINE_VERSION"), *KCI),
        "",
    ),
    BISECTION: (
        "Searches the commit that broke a test",
        (
            *_strings("KERNEL_URL KERNEL_BRANCH KERNEL_TREE KERNEL_NAME GOOD_COMMIT BAD_COMMIT ARCH DEFCONFIG"),
            *_strings("TARGET LAB TEST_PLAN"),
            *KCI,
        ),
        "",
    ),
}


NODE_LABEL = Parameter("NODE_LABEL", "docker && build-slave")
"""What the next release of the definitions adds to kernel-build."""


def pipelines(*more: Parameter) -> dict[str, tuple[str, tuple[Parameter, ...], str]]:
    """Description, parameters and timer of every pipeline job; `more` are added to kernel-build's parameters."""
    about, parameters, timer = PIPELINES[KERNEL_BUILD]
    return {**PIPELINES, KERNEL_BUILD: (about, (*parameters, *more), timer)}


def definitions(*more: Parameter) -> dict[str, str]:
    """Every job's config.xml, by name; none says `disabled`, so applying them enables. `more` as in `pipelines`."""
    found = {name: pipeline_xml(*parts) for name, parts in pipelines(*more).items()}
    return {name: _indented(xml) for name, xml in {**found, JOB_DSL: SEED_JOB}.items()}


def _indented(xml: str) -> str:
    root = ET.fromstring(xml)  # noqa: S314 (our own text)
    ET.indent(root)
    return f"<?xml version='1.1' encoding='UTF-8'?>\n{ET.tostring(root, encoding='unicode')}\n"


def groovy(*more: Parameter) -> str:
    """The same in the words of the Job DSL plugin; `disabled` is never said, so each run enables the jobs again."""
    return "\n".join(_dsl(name, *parts) for name, parts in pipelines(*more).items())


def _dsl(name: str, about: str, parameters: Sequence[Parameter], timer: str) -> str:
    lines = [f"    {'boolean' if p.is_bool else 'string'}Param('{p.name}', '{p.default}')\n" for p in parameters]
    cron = f"  triggers {{\n    cron('{timer}')\n  }}\n" if timer else ""
    head = f"pipelineJob('{name}') {{\n  description('{about}')\n"
    return f"{head}  parameters {{\n{''.join(lines)}  }}\n{cron}}}\n"


SEED_JOB = (
    "<project><description>Generates all job definitions</description><properties/><disabled>false</disabled>"
    "<triggers><hudson.triggers.SCMTrigger><spec>H/5 * * * *</spec></hudson.triggers.SCMTrigger></triggers>"
    "<concurrentBuild>false</concurrentBuild><builders/></project>"
)


def pipeline_xml(description: str, parameters: Sequence[Parameter], timer: str = "") -> str:
    """A pipeline job's config.xml. Where its timer stands is not verified on a live server."""
    shown = "".join(map(_parameter_xml, parameters))
    trigger = (
        "<org.jenkinsci.plugins.workflow.job.properties.PipelineTriggersJobProperty><triggers>"
        f"<hudson.triggers.TimerTrigger><spec>{timer}</spec></hudson.triggers.TimerTrigger>"
        "</triggers></org.jenkinsci.plugins.workflow.job.properties.PipelineTriggersJobProperty>"
    )
    return (
        '<flow-definition plugin="workflow-job">'
        f"<description>{escape(description)}</description><keepDependencies>false</keepDependencies><properties>"
        "<org.jenkinsci.plugins.workflow.job.properties.DisableResumeJobProperty/>"
        f"<hudson.model.ParametersDefinitionProperty><parameterDefinitions>{shown}</parameterDefinitions>"
        f"</hudson.model.ParametersDefinitionProperty>{trigger if timer else ''}</properties>"
        '<definition class="org.jenkinsci.plugins.workflow.cps.CpsScmFlowDefinition" plugin="workflow-cps"/>'
        "<triggers/><disabled>false</disabled></flow-definition>"
    )


def _parameter_xml(one: Parameter) -> str:
    kind = f"hudson.model.{'Boolean' if one.is_bool else 'String'}ParameterDefinition"
    return f"<{kind}><name>{one.name}</name><defaultValue>{escape(one.default)}</defaultValue></{kind}>"
