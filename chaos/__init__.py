"""Faults at random under load, and then the proof that nothing acknowledged was lost, doubled or changed."""
