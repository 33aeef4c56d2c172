"""Config of auxiliary targets."""

from typing import Annotated

from pydantic import Field

from goldfold.config.base import Number, Section, Unique


class Auxiliary(Section):
    """Auxiliary targets: the network also learns to tell metadata columns of the training cases from their images. Prediction
    neither needs nor reads them."""

    columns: Annotated[list[str], Unique, Field(min_length=1)]
    """Columns of `data.metadata`; the network does not take them as inputs. A case without a value learns from the others."""
    weight: Number = Field(0.3, gt=0)
    """Weight of the mean loss over the columns, beside the loss of the target."""
