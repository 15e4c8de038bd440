"""Whether the model errs more: measures, error growth, estimates before targets arrive, fairness."""
