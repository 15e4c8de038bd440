"""The model definitions: their features and targets, their pipelines, and where their data come from."""
