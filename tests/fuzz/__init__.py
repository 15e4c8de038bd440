"""Asks the real services everything that a client could send, sensible or not; see docs/fuzzing.md."""
