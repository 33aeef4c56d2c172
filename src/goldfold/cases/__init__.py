"""Batches of cases: their images, of which some may be missing, metadata, targets and weights."""

from goldfold.cases.batch import Batch as Batch
from goldfold.cases.batch import stacked as stacked
from goldfold.cases.inputs import Inputs as Inputs
