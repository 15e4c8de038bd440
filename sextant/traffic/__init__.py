"""The replay client: which rows are sent, at what pace, and with which targets after them."""
