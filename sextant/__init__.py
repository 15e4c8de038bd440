"""What Sextant's services share: what they agree on, how they reach the world, and what their verdicts mean."""
