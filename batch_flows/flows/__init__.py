"""One flow a file, each read as a story; its steps are in `batch_flows.steps`."""
