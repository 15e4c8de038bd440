"""What is Prefect's: how flows run as commands, as deployments on a schedule, and step by step."""
