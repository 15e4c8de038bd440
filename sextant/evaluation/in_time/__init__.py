"""What a window may score when nothing drifted, for rows in the order of time: hours, blocks, thresholds."""
