"""The replay client: which rows are sent, at what pace, and with which truth after them."""
