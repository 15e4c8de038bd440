"""The prediction service: validates, predicts, writes to the outbox, responds; a relay delivers the events."""
