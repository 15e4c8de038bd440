"""Two versions or models on the same labelled window: choosing, pairing, the page, and the command."""
