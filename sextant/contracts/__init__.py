"""What the services agree on: schema, events, model bundle, errors and how files are written."""
