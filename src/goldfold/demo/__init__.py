"""Demo data sets, made from what scikit-learn brings along."""
