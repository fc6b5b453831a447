"""The Grafana dashboard, made from a list of panels (`generate.py` writes monitoring/dashboard.json)."""

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Panel:
    """One picture.

    Attributes:
        title: What it answers.
        queries: What a line is called (Grafana's `{{label}}`) → PromQL.
        unit: Grafana's name of the unit.
        width: Of 24 columns.
        single: One number in place of lines over time.
    """

    title: str
    queries: dict[str, str]
    unit: str = "short"
    width: int = 8
    single: bool = False


def _mean(name: str, by: str = "") -> str:
    """Return the mean of a histogram over five minutes."""
    total, count = (f"sum{by}(rate({name}_{part}[5m]))" for part in ("sum", "count"))
    return f"{total} / {count}"


def _share(name: str, share: int) -> str:
    """Return a percentile of a histogram over five minutes."""
    return f"histogram_quantile(0.{share}, sum by (le) (rate({name}_bucket[5m])))"


_SECONDS = "hub_ext_http_request_seconds"
_BY_HANDLER = _mean(_SECONDS, " by (handler) ")
PANELS = (
    Panel("Sharing service answers", {"": 'min(up{job="hub-ext-service"})'}, "bool_on_off", 4, single=True),
    Panel("Hub answers", {"": 'min(up{job="hub-ext-hub"})'}, "bool_on_off", 4, single=True),
    Panel("Runs are looked after", {"": "max(hub_ext_reconciler_up)"}, "bool_on_off", 4, single=True),
    Panel("Catalog is whole", {"": "1 - max(hub_ext_catalog_last_load_failed)"}, "bool_on_off", 4, single=True),
    Panel("Servers that run", {"": "max(jupyterhub_running_servers)"}, "short", 4, single=True),
    Panel("People of the last day", {"": 'max(jupyterhub_active_users{period="24h"})'}, "short", 4, single=True),
    Panel("Runs, by state", {"{{state}}": 'max by (state) (hub_ext_runs{state=~"queued|starting|running"})'}),
    Panel("Longest wait of a run", {"queued": "max(hub_ext_runs_oldest_queued_seconds)"}, "s"),
    Panel("Runs that ended within an hour", {"{{state}}": "max by (state) (hub_ext_runs_ended_last_hour)"}),
    Panel("Servers asked for within an hour", {"{{outcome}}": "max by (outcome) (hub_ext_server_starts_last_hour)"}),
    Panel("From asked for to ready", {"{{quantile}}": "max by (quantile) (hub_ext_server_start_seconds)"}, "s"),
    Panel("Sign-ins take", {"mean": _mean("jupyterhub_login_duration_seconds")}, "s"),
    Panel("Answers a second", {"{{status}}": "sum by (status) (rate(hub_ext_http_requests_total[5m]))"}, "reqps"),
    Panel("How long answers take", {f"p{share}": _share(_SECONDS, share) for share in (50, 95)}, "s"),
    Panel("Slowest kinds of pages", {"{{handler}}": f"topk(5, {_BY_HANDLER})"}, "s"),
    Panel("Versions of profiles, by state", {"{{state}}": "max by (state) (hub_ext_profile_versions)"}),
    Panel(
        "Catalog",
        {"problems with files": "max(hub_ext_catalog_problems)", "rules in force": "max(hub_ext_policy_rules)"},
    ),
    Panel("Since the repository of profiles was taken", {"": "max(hub_ext_profiles_sync_age_seconds)"}, "s"),
    Panel("The repository of profiles can be taken", {"": "max(hub_ext_profiles_sync_ok)"}, "bool_on_off"),
    Panel("Longest wait for a seal", {"acts": "max(hub_ext_audit_oldest_unsealed_seconds)"}, "s"),
    Panel("How long the Hub's loop is held", {"mean": _mean("jupyterhub_event_loop_interval_seconds")}, "s"),
    Panel("The Hub adds a route in", {"mean": _mean("jupyterhub_proxy_add_duration_seconds")}, "s"),
)
_SOURCE = {"type": "prometheus", "uid": "${source}"}
_HEIGHT, _LOW = 8, 4


def _placed() -> list[dict[str, Any]]:
    made, x, y = [], 0, 0
    for number, panel in enumerate(PANELS, 1):
        height = _LOW if panel.single else _HEIGHT
        if x + panel.width > 24:
            x, y = 0, y + (_LOW if PANELS[number - 2].single else _HEIGHT)
        targets = [
            {"refId": chr(ord("A") + index), "expr": expression, "legendFormat": name, "datasource": _SOURCE}
            for index, (name, expression) in enumerate(panel.queries.items())
        ]
        made.append(
            {
                "id": number,
                "title": panel.title,
                "type": "stat" if panel.single else "timeseries",
                "datasource": _SOURCE,
                "gridPos": {"x": x, "y": y, "w": panel.width, "h": height},
                "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
                "options": {"reduceOptions": {"calcs": ["lastNotNull"]}} if panel.single else {},
                "targets": targets,
            }
        )
        x += panel.width
    return made


def dashboard() -> str:
    """The dashboard as Grafana takes it (schema 39)."""
    source = {"name": "source", "type": "datasource", "query": "prometheus", "label": "Prometheus"}
    content = {
        "title": "hub-ext",
        "uid": "hub-ext",
        "schemaVersion": 39,
        "tags": ["hub-ext"],
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "1m",
        "templating": {"list": [source]},
        "panels": _placed(),
    }
    return json.dumps(content, indent=2) + "\n"
