"""The sandbox's kernelci-core: weekly releases with real human errors, and a development branch ahead."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from kcibot.sandbox.repositories.history import FILES, History

BUILD_CONFIGS = "config/core/build-configs.yaml"
TEST_CONFIGS = "config/core/test-configs.yaml"
ROOTFS_CONFIGS = "config/core/rootfs-configs.yaml"
WEEKS = 10
KEPT_BACK = "buster-ltp"
ROOTFS_LINE = re.compile(
    r"^(?P<head> {4}(?:ramdisk|nfs): '(?P<name>[a-z0-9.-]+)/)\d{8}\.\d+(?P<tail>/\{arch\}/[\w.]+')$", re.MULTILINE
)

# name: (Debian release, architectures); the numbers of architectures are those of 2021 and 2019
ROOTFS_2021 = {
    "buster": ("buster", "amd64 arm64 armel armhf i386 mips mips64el mipsel"),
    "buster-cros-ec": ("buster", "amd64 arm64 armhf"),
    "buster-igt": ("buster", "amd64 arm64 armhf i386"),
    "buster-kselftest": ("buster", "amd64 arm64 armhf"),
    "buster-ltp": ("buster", "amd64 arm64 armhf"),
    "buster-v4l2": ("buster", "amd64 arm64 armhf"),
    "sid": ("sid", "amd64"),
}
ROOTFS_2019 = {
    "stretch": ("stretch", "amd64 arm64 armel armhf i386 mips mips64el mipsel"),
    "stretch-igt": ("stretch", "amd64 arm64 armhf i386 mipsel"),
    "stretch-v4l2": ("stretch", "amd64 arm64 armhf"),
}

# One week each: (board, machine, class) and (path, what to add, subject)
BOARDS = (
    ("meson-g12b-odroid-n2", "amlogic", "arm64-dtb"),
    ("sun50i-h6-pine-h64", "allwinner", "arm64-dtb"),
    ("imx8mn-ddr4-evk", "imx", "arm64-dtb"),
    ("stm32mp157c-dk2", "stm32", "arm-dtb"),
    ("r8a774a1-hihope-rzg2m-ex", "renesas", "arm64-dtb"),
    ("mt8173-elm-hana", "mediatek", "arm64-dtb"),
    ("hifive-unleashed-a00", "sifive", "riscv-dtb"),
    ("imx6q-udoo", "imx", "arm-dtb"),
    ("rk3328-rock64", "rockchip", "arm64-dtb"),
)
WORK = (
    (
        "config/core/lab-configs.yaml",
        "# lab-pengutronix: waiting for its new address",
        "lab-configs.yaml: note that a lab moves",
    ),
    ("config/docker/debos/Dockerfile", "RUN useradd --create-home debos", "config/docker: debos: run as a user"),
    ("config/rootfs/debos/scripts/crush.sh", "rm -rf /usr/share/info", "config/rootfs: crush.sh: remove info pages"),
    ("README.md", "- `kci_data`: send and query results", "README.md: mention kci_data"),
    ("jenkins/monitor.jpl", "// Nothing else may run on this node", "jenkins/monitor.jpl: say why it has its own node"),
    ("config/docker/qemu/Dockerfile", "RUN qemu-system-x86_64 --version", "config/docker: qemu: check that it starts"),
    ("config/rootfs/debos/scripts/v4l2.sh", "make clean", "config/rootfs: v4l2.sh: leave no objects behind"),
    (
        "config/core/lab-configs.yaml",
        "# lab-theobroma-systems: offline until further notice",
        "lab-configs.yaml: note an offline lab",
    ),
    ("README.md", "- `kci_bisect`: search for the commit that broke a test", "README.md: mention kci_bisect"),
)


def core(now: datetime, real_yaml: Path | None) -> History:
    """The whole story; the last release was made seven days before `now`."""
    history, names = History(), ROOTFS_2021
    history.write_all(FILES / "core")
    if real_yaml is not None:
        names = ROOTFS_2019
        history.write(BUILD_CONFIGS, _with_kernelci_tree((real_yaml / "build-configs.yaml").read_text()))
        history.write(TEST_CONFIGS, (real_yaml / "test-configs.yaml").read_text())
    history.write(ROOTFS_CONFIGS, _rootfs_configs(names))
    first = now - timedelta(weeks=WEEKS)
    _bump_rootfs(history, first)
    start = history.commit("kernelci: start from the scripts in use", first)
    _foreign_tags(history, start, first)
    releases = [_week(history, now - timedelta(weeks=weeks), weeks) for weeks in range(WEEKS - 1, 0, -1)]
    _release_tags(history, releases, now)
    history.branch("kernelci.org", releases[-1])
    _ahead(history, now)
    return history


def _week(history: History, release: datetime, number: int) -> int:
    """A week's work up to the release; the mark of the commit that was released."""
    path, line, subject = WORK[number - 1]
    history.append(path, line)
    history.commit(subject, release - timedelta(days=5))
    _add_board(history, *BOARDS[number - 1], at=release - timedelta(days=4))
    kept = KEPT_BACK if number == 1 and KEPT_BACK in history.files[ROOTFS_CONFIGS] else ""
    _bump_rootfs(history, release - timedelta(days=1), kept)
    version = f"{release - timedelta(days=1):%Y%m%d}.0" + (f" except {kept}" if kept else "")
    return history.commit(f"test-configs.yaml: update rootfs URLs to {version}", release - timedelta(hours=3))


def _ahead(history: History, now: datetime) -> None:
    """What the next release will bring: images, a root file system, boards, a tree and a job's parameter."""
    history.edit(
        "config/docker/gcc-10_arm64/Dockerfile", "    gcc-10-aarch64", "    device-tree-compiler \\\n    gcc-10-aarch64"
    )
    history.commit("config/docker: gcc-10_arm64: install the device tree compiler", now - timedelta(days=6))
    history.edit("config/docker/build-base/Dockerfile", "    kmod \\\n", "    kmod \\\n    libelf-dev \\\n")
    history.commit("config/docker: build-base: install libelf for objtool", now - timedelta(days=5, hours=4))
    history.edit(
        "config/rootfs/debos/scripts/igt.sh", "ninja -C build install", "ninja -C build install\nrm -rf /tmp/igt"
    )
    history.commit("config/rootfs: igt.sh: remove the sources after the build", now - timedelta(days=5))
    _add_board(history, "meson-sm1-khadas-vim3l", "amlogic", "arm64-dtb", at=now - timedelta(days=4))
    _add_tree(history, now - timedelta(days=3))
    history.edit(
        "jenkins/build.jpl",
        "  Number of kernel builds to run in parallel\n",
        "  Number of kernel builds to run in parallel\nNODE_LABEL (docker && build-slave)\n"
        "  Label of the nodes that may build\n",
    )
    history.commit("jenkins/build.jpl: add NODE_LABEL to choose the nodes", now - timedelta(days=2))
    history.merge_last("Merge pull request from the node-label branch", now - timedelta(days=2) + timedelta(hours=1))
    history.append("README.md", "- `kci_rootfs` needs debos, see `config/docker/debos`")
    why = "Without it the first run ends with a message that names no program."
    history.commit("README.md: say what kci_rootfs needs", now - timedelta(hours=20), why)


def _add_board(history: History, name: str, machine: str, kind: str, at: datetime) -> None:
    device = f"  {name}:\n    mach: {machine}\n    class: {kind}\n    boot_method: uboot\n"
    text = history.files[TEST_CONFIGS].replace("\n\ntest_configs:\n", f"\n{device}\n\ntest_configs:\n")
    plan = "boot" if "test_plans: [boot]" in text else "baseline"
    history.write(TEST_CONFIGS, f"{text.rstrip()}\n\n  - device_type: {name}\n    test_plans: [{plan}]\n")
    history.commit(f"test-configs.yaml: add {name}", at)


def _add_tree(history: History, at: datetime) -> None:
    tree = "\n  pinctrl:\n    url: 'https://git.kernel.org/pub/scm/linux/kernel/git/linusw/linux-pinctrl.git'\n"
    text = history.files[BUILD_CONFIGS].replace("\n\nfragments:\n", f"{tree}\n\nfragments:\n", 1)
    history.write(BUILD_CONFIGS, f"{text.rstrip()}\n\n  pinctrl_for-next:\n    tree: pinctrl\n    branch: 'for-next'\n")
    history.commit("build-configs.yaml: add the pinctrl tree", at)


def _bump_rootfs(history: History, at: datetime, kept: str = "") -> None:
    """Move every name but `kept` to the version of that day."""

    def moved(line: re.Match[str]) -> str:
        return line[0] if line["name"] == kept else f"{line['head']}{at:%Y%m%d}.0{line['tail']}"

    text = history.files[TEST_CONFIGS].replace("@VERSION@", "20200101.0")
    history.write(TEST_CONFIGS, ROOTFS_LINE.sub(moved, text))


def _with_kernelci_tree(text: str) -> str:
    """The file of March 2019 does not have the pipe cleaner's own tree yet; June's does."""
    tree = '  kernelci:\n    url: "https://github.com/kernelci/linux.git"\n\n'
    config = "  kernelci:\n    tree: kernelci\n    branch: 'kernelci.org'\n    variants: *stable_variants\n\n"
    text = text.replace("  khilman:\n    url:", f"{tree}  khilman:\n    url:", 1)
    return text.replace("  khilman:\n    tree:", f"{config}  khilman:\n    tree:", 1)


def _rootfs_configs(names: dict[str, tuple[str, str]]) -> str:
    entries = []
    for name, (release, architectures) in names.items():
        lines = "".join(f"      - {architecture}\n" for architecture in architectures.split())
        entries.append(
            f"  {name}:\n    rootfs_type: debos\n    debian_release: {release}\n    arch_list:\n{lines}"
            "    extra_packages: []\n    script: scripts/crush.sh\n"
        )
    return "rootfs_configs:\n\n" + "\n".join(entries)


def _foreign_tags(history: History, start: int, at: datetime) -> None:
    """Names that share the repository with the release tags and are none."""
    for name in ("2014.10", "2014.12.1", "2019.5.0"):
        history.light_tag(name, start)
    for name in ("kernelci-1.0", "production-20141105123456", f"staging-{at:%Y%m%d}.0"):
        history.tag(name, start, at)


def _release_tags(history: History, releases: Sequence[int], now: datetime) -> None:
    """Nine weekly releases, oldest first, with the mistakes that people really made."""
    days = [now - timedelta(weeks=weeks) for weeks in range(len(releases), 0, -1)]
    marks, names = list(releases), [f"{day:%Y%m%d}" for day in days]
    history.tag(
        f"kernelci-{names[0]}", marks[0], days[0], message=f"kernelci-{names[0][:6]}91"
    )  # another day in the message
    history.light_tag(f"{names[1]}.1", marks[1])  # the prefix is missing
    dotted = history.tag(f"kernelci-{days[2]:%Y.%m.%d}", marks[2], days[2])
    history.tag(f"kernelci-{names[2]}", dotted, days[2] + timedelta(days=11))  # a tag of a tag
    history.light_tag(f"kernelci-{names[3]}", marks[3])
    history.tag(f"kernelci-{days[4] + timedelta(days=123):%Y%m%d}", marks[4], days[4])  # a wrong month, still to come
    history.tag(f"kernelci-{days[4].year - 10}{names[4][4:]}", marks[4], days[4])  # a wrong year
    history.tag(f"kernelci-{names[5]}", marks[5] - 1, days[5])
    history.tag(f"kernelci-{names[5]}.1", marks[5], days[5] + timedelta(hours=2))  # a hotfix on the same day
    history.tag(f"kernelci-{names[6]}.1", marks[6], days[6])  # counted from one, without a .0
    history.tag(f"kernelci-{names[7]}", marks[7], days[7])
    history.tag(f"kernelci-{names[8]}", marks[8], days[8])
