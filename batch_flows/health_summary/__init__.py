"""How a week went: history from Prometheus and MongoDB, the page, and the command."""
