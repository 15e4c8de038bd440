"""Alertmanager's configuration, rendered from settings: who is notified of which alert, and how."""
