"""From a model definition and its data to a published model bundle."""
