"""Grafana's dashboards as code; `python -m grafana` writes them as JSON."""
