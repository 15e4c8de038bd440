"""The scheduled half of Sextant: Prefect flows that read MongoDB and write Evidently reports for analysts."""
