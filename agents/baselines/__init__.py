"""Rule policies: the floors, the ceilings and the simple strategies a trained agent has to beat."""
