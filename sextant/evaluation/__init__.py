"""What drift, quality and performance mean: pure functions of reference and current rows, on Evidently."""
