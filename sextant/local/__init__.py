"""The constellation on one machine without Docker: embedded parts, one log per process, and the demo."""
