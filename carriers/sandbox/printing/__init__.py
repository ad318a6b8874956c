"""Labels, pictures and texts in all scripts, which the simulated carriers print."""
