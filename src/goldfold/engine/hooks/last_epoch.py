"""End of a training after a number of epochs that is known before it."""

from goldfold.engine.hooks import Hook
from goldfold.engine.state import Training


class LastEpoch(Hook):
    """Ends the training after ``epochs`` epochs, while the schedule is planned for all of the config.

    The epoch is marked as the last one before its first step, so that averages of weights include it.
    """

    def __init__(self, name: str, epochs: int, why: str) -> None:
        """See the arguments.

        Args:
            name: name by which the record knows what ended the training.
            epochs: number of epochs, from 1.
            why: reason, for the log and the report.
        """
        self.name, self.epochs, self.why = name, epochs, why

    def before_epoch(self, training: Training) -> None:
        """Make this epoch the last one if it is the one of that number."""
        if len(training.history) == self.epochs - 1:
            training.stop(self.name, self.why)
