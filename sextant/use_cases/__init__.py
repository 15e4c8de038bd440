"""The use cases: where their data come from, what their features are, and the pipelines that learn from them."""
