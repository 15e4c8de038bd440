"""The prediction service: validates, predicts, writes to the outbox, answers; a relay ships the outbox."""
