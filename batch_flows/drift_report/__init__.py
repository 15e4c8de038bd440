"""The drift report: a time range of predictions against the model's reference, as an HTML page."""
