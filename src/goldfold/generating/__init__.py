"""Generated training images: generators that learn from the training images of one fold."""
