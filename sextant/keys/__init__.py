"""API keys by command: make, list and remove them."""
