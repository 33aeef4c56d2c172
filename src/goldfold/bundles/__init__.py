"""A trained ensemble as one self-contained folder that predicts new images: `form`, `export`, `loading`, `predicting`."""
