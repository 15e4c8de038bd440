"""The constellation on one machine without Docker: one supervisor, one log for each program, and the demo."""
