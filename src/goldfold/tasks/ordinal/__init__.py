"""One of several ordered classes per image: grades, stages, ratings."""
