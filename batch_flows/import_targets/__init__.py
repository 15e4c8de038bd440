"""Ground truth from files: reading, checking, deciding what is stored, and the command."""
