"""configurable-http-proxy, which the chart runs, for Hubs that run on this machine; and `hub-ext up` with it.

`python -m benchmarks.charts_proxy` is `hub-ext up` with the chart's proxy class in place of the embedded default's: so
a Hub that runs beside a cluster is told of routes, and tells them, as the one in the chart.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from benchmarks import counting
from hub_ext.embedded.up import Platform
from hub_ext.settings import HubExt
from tests.cluster.chart_proxy import command


def lines(api_port: int, state: Path) -> str:
    """Return what a Hub's configuration says of it, and that any number of servers may start at once.

    Args:
        api_port: A free port, for what the Hub tells it.
        state: Folder for its pid.
    """
    return f"""
c.ConfigurableHTTPProxy.command = {command()!r}
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{api_port}"
c.ConfigurableHTTPProxy.pid_file = {str(state / "proxy.pid")!r}
c.ConfigurableHTTPProxy.log_level = "warn"
c.JupyterHub.concurrent_spawn_limit = 0
"""


def asked(state: Path) -> Path:
    """Return the file of what the Hub asks the API server.

    Args:
        state: Folder of what runs.
    """
    return state / "asked"


class ChartsProxy(Platform):
    """The embedded platform with that proxy."""

    @property
    def configuration(self) -> Path:
        """The file of the Hub's configuration: the one of `hub-ext up`, and what is otherwise."""
        path = self.state.run / "benchmark_config.py"
        path.write_text(
            f"load_subconfig({str(super().configuration)!r})\n"
            'c = get_config()\nc.JupyterHub.proxy_class = "hub_ext.deployed.proxy.FollowedProxy"\n'
            f'c.FollowedProxy.route = "/services/{self.settings.service_name}"\n'
            + lines(self.state.ports(("hub", "proxy"))["proxy"], self.state.run)
            + counting.lines(asked(self.state.run))
        )
        return path


def up(environ: Mapping[str, str]) -> int:
    """Run it until Ctrl-C; return the exit code.

    Args:
        environ: What `hub-ext up` would be started with.
    """
    own = {"HUB_EXT_STATE_DIR": environ["HUB_EXT_STATE"], "HUB_EXT_APPROVALS_REQUIRED": "1"}
    settings = HubExt.from_environment({**environ, **own})
    return ChartsProxy(settings, int(environ["HUB_EXT_PORT"]), environ["HUB_EXT_PASSWORD"]).run()


if __name__ == "__main__":
    sys.exit(up(os.environ))
