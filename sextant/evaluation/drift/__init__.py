"""Whether data drifted: scores by column and of all features together, and their calibrated thresholds."""
