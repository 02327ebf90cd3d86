"""The KernelCI backend in miniature: its API over HTTP, and the dashboard's page that tells its version."""

from kcibot.sandbox.results_api.history import LABS
from kcibot.sandbox.results_api.stand_in import Counts, DashboardStandIn, ResultsApiStandIn

__all__ = ["LABS", "Counts", "DashboardStandIn", "ResultsApiStandIn"]
