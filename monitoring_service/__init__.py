"""The monitoring service: a sliding window for each model, evaluated on a beat, shown as metrics and pages."""
