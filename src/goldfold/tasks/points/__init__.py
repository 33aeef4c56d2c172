"""Points: places of objects, any number per image, each with a class."""
