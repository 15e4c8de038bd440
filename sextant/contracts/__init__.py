"""The facts that the services share: settings, schema, events, model bundle and event store."""
