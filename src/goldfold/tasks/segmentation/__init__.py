"""A class for every pixel: one class against the background, or several."""
