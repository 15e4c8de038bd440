"""Deletes what is old once a report covers it: what may go, the steps, and the command."""
