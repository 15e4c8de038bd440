"""The monitoring service: a sliding window for each model, evaluated repeatedly, shown as metrics and pages."""
