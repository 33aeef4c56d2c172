"""Demo data sets, made from the data inside scikit-learn."""
