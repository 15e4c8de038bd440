"""Replays stored predictions and says which alarms would have fired: for tuning before going live."""
