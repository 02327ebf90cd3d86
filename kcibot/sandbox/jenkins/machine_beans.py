"""The server itself and its nodes as Jenkins exports them."""

from collections.abc import Sequence

from kcibot.sandbox.jenkins.beans import Exporter, plain
from kcibot.sandbox.jenkins.model import Executor, Node
from kcibot.sandbox.jenkins.tree import Bean, Field, JsonValue, Value
from kcibot.sandbox.jenkins.world import World

MONITORS = "hudson.node_monitors."
STATISTICS = (
    "availableExecutors",
    "busyExecutors",
    "connectingExecutors",
    "definedExecutors",
    "idleExecutors",
    "onlineExecutors",
    "queueLength",
    "totalExecutors",
)
DISK_BYTES = 77_759_676_416
MEMORY_BYTES = 25_276_510_208


class MachineExporter(Exporter):
    """Adds the root, the nodes and their executors."""

    def __init__(self, world: World, base: str, configured_root: str | None) -> None:
        super().__init__(world, base)
        self.configured_root = configured_root

    def root(self) -> Bean:
        view = Bean("hudson.model.AllView", (plain("name", "all", 3), plain("url", self.base, 3)))
        master = next(node for node in self.world.nodes if node.is_master)
        return Bean(
            "hudson.model.Hudson",
            (
                Field("assignedLabels", lambda: self._labels(master)),
                plain("mode", "NORMAL"),
                plain("nodeDescription", master.description),
                plain("nodeName", ""),
                plain("numExecutors", len(master.executors)),
                plain("description", None),
                Field("jobs", self.jobs),
                plain("overallLoad", Bean()),
                plain("primaryView", view),
                plain("quietingDown", self.world.queue.quieting_down),
                plain("slaveAgentPort", -1),
                plain("unlabeledLoad", Bean("jenkins.model.UnlabeledLoadStatistics")),
                plain("url", self.configured_root),
                plain("useCrumbs", value=True),
                plain("useSecurity", value=True),
                plain("views", (view,)),
            ),
        )

    def computers(self) -> Bean:
        nodes = self.world.nodes
        return Bean(
            "hudson.model.ComputerSet",
            (
                plain("busyExecutors", sum(len(node.busy) for node in nodes)),
                Field("computer", lambda: [self.computer(node) for node in nodes], inline=True),
                plain("displayName", "Nodes"),
                plain("totalExecutors", sum(len(node.executors) for node in nodes if not node.offline)),
            ),
        )

    def computer(self, node: Node) -> Bean:
        agent = () if node.is_master else (plain("absoluteRemotePath", "/var/lib/agent" if node.connected else None),)
        return Bean(
            "hudson.model.Hudson$MasterComputer" if node.is_master else "hudson.slaves.SlaveComputer",
            (*self._who(node), *self._what(node), *agent),
        )

    def _who(self, node: Node) -> tuple[Field, ...]:
        icon = _icon(node)
        return (
            plain("actions", ()),
            Field("assignedLabels", lambda: self._labels(node)),
            plain("description", node.description),
            plain("displayName", node.name),
            Field("executors", lambda: [self._executor(one) for one in node.executors]),
            plain("icon", f"{icon}.png"),
            plain("iconClassName", f"icon-{icon}"),
            plain("idle", not node.busy and not node.one_offs),
            plain("jnlpAgent", not node.is_master),
            plain("launchSupported", node.is_master),
        )

    def _what(self, node: Node) -> tuple[Field, ...]:
        cause = Bean("hudson.slaves.OfflineCause$UserCause") if node.offline_reason is not None else None
        return (
            plain("loadStatistics", _statistics("hudson.model.Label$1")),
            plain("manualLaunchAllowed", value=True),
            plain("monitorData", self._monitors(node)),
            plain("numExecutors", len(node.executors)),
            plain("offline", node.offline),
            plain("offlineCause", cause),
            plain("offlineCauseReason", node.offline_reason or ""),
            Field("oneOffExecutors", lambda: [self._executor(one) for one in node.one_offs]),
            plain("temporarilyOffline", node.offline_reason is not None),
        )

    def _executor(self, executor: Executor) -> Bean:
        """In a node's lists the class is not shown."""
        bean = self.executor_bean(executor.number, executor.run, idle=executor.idle)
        return Bean("", bean.fields)

    def _labels(self, node: Node) -> Sequence[Value]:
        return [self._label(label) for label in node.all_labels]

    def _label(self, label: str) -> Bean:
        nodes = [node for node in self.world.nodes if label in node.all_labels]
        busy, every = sum(len(node.busy) for node in nodes), sum(len(node.executors) for node in nodes)
        return Bean(
            "",
            (
                plain("actions", ()),
                plain("busyExecutors", busy),
                plain("clouds", ()),
                plain("description", None),
                plain("idleExecutors", every - busy),
                plain("loadStatistics", _statistics("hudson.model.Label$1")),
                plain("name", label, 2),
                Field("nodes", lambda: [self._node(node) for node in nodes]),
                plain("offline", all(node.offline for node in nodes)),
                plain("tiedJobs", ()),
                plain("totalExecutors", every),
                plain("propertiesList", ()),
            ),
        )

    def _node(self, node: Node) -> Bean:
        """The built-in node is the server itself, with all its fields."""
        return self.root() if node.is_master else Bean("hudson.slaves.DumbSlave", (plain("nodeName", node.name),))

    def _monitors(self, node: Node) -> dict[str, JsonValue]:
        names = ("SwapSpace", "TemporarySpace", "DiskSpace", "Architecture", "ResponseTime", "Clock")
        if not node.connected:
            return {f"{MONITORS}{name}Monitor": None for name in names}
        now = int(self.world.loop.now() * 1000)
        disk: dict[str, JsonValue] = {"_class": f"{MONITORS}DiskSpaceMonitorDescriptor$DiskSpace", "timestamp": now}
        memory: dict[str, JsonValue] = {
            "_class": f"{MONITORS}SwapSpaceMonitor$MemoryUsage2",
            "availablePhysicalMemory": MEMORY_BYTES,
            "availableSwapSpace": 0,
            "totalPhysicalMemory": MEMORY_BYTES,
            "totalSwapSpace": 0,
        }
        values: tuple[JsonValue, ...] = (
            memory,
            {**disk, "path": "/tmp", "size": DISK_BYTES},  # noqa: S108 (a name in an answer)
            {**disk, "path": "/var/lib/jenkins", "size": DISK_BYTES},
            "Linux (amd64)",
            {"_class": f"{MONITORS}ResponseTimeMonitor$Data", "timestamp": now, "average": 0},
            {"_class": "hudson.util.ClockDifference", "diff": 0},
        )
        return {f"{MONITORS}{name}Monitor": value for name, value in zip(names, values, strict=True)}


def overall_load() -> Bean:
    return _statistics("hudson.model.OverallLoadStatistics")


def _statistics(kind: str) -> Bean:
    latest = Bean("", (plain("history", ()), plain("latest", 0.0)))
    series = Bean("", tuple(plain(name, latest) for name in ("hour", "min", "sec10")))
    return Bean(kind, tuple(plain(name, series) for name in STATISTICS))


def _icon(node: Node) -> str:
    if not node.connected:
        return "computer-x"
    return "computer-user-offline" if node.offline_reason is not None else "computer"
