"""A trained ensemble as one folder that predicts new images: `form`, `export`, `loading`, `predicting`."""
