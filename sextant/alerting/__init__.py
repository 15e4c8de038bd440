"""Alertmanager's configuration, made from settings: who is told of which alert, and how."""
