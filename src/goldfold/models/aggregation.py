"""Ways in which the features of a case's images become features of the case, before the head.

Each is built from the number of features per image, and takes features (batch, views, n), 0 where an image is missing, and
`goldfold.cases.Inputs.present`. Its attribute ``n_features`` is the number of features that it returns per case.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_sequence, unpack_sequence

from goldfold.base.errors import ConfigError

PERIOD = 10_000.0
"""Longest period of sinusoidal positions, as a multiple of 2 pi."""


def mean(n_features: int) -> None:
    """Mean over the images: of outputs, or of features where there is metadata; without layers of its own."""


def attention(n_features: int, hidden: int = 128) -> nn.Module:
    """Mean weighted by gated attention, which does not depend on the order of the images (Ilse et al. 2018, eq. 9).

    Args:
        hidden: width of the layer that scores an image.
    """
    _refuse_below(1, hidden=hidden)
    return Attention(n_features, hidden)


def concat(n_features: int, n_views: int = 2, hidden: int = 256, dropout: float = 0.0) -> nn.Module:
    """Features of a fixed number of views side by side, then a layer with ReLU; a missing view has learned features.

    Args:
        n_views: number of views, of which each case has the same.
        hidden: width of the layer.
    """
    _refuse_below(1, n_views=n_views, hidden=hidden)
    _refuse_share(dropout=dropout)
    return Concatenation(n_features, n_views, hidden, dropout)


def lstm(
    n_features: int, hidden: int = 128, layers: int = 1, bidirectional: bool = True, dropout: float = 0.0
) -> nn.Module:
    """Recurrent network (LSTM) over the images in order; the mean of its outputs, weighted by gated attention.

    Args:
        hidden: width of each direction.
        dropout: before the mean, and between layers.
    """
    _refuse_below(1, hidden=hidden, layers=layers)
    _refuse_share(dropout=dropout)
    return Recurrent(n_features, hidden, layers, bidirectional, dropout)


def transformer(
    n_features: int, width: int = 256, layers: int = 1, heads: int = 4, dropout: float = 0.0, positions: bool = True
) -> nn.Module:
    """Self-attention between the images (Vaswani et al. 2017); the mean of its outputs, weighted by gated attention.

    Args:
        width: number of features after a first linear layer.
        positions: whether the place of an image in its case counts; without, the images are a set.
    """
    _refuse_below(1, width=width, layers=layers, heads=heads)
    _refuse_share(dropout=dropout)
    if width % (2 * heads):
        raise ConfigError(f"views: transformer: width = {width} must be a multiple of twice heads = {heads}")
    return Transformer(n_features, width, layers, heads, dropout, positions)


class Weights(nn.Module):
    """Weights of images by gated attention."""

    def __init__(self, n_features: int, hidden: int) -> None:
        super().__init__()
        self.value, self.gate = nn.Linear(n_features, hidden), nn.Linear(n_features, hidden)
        self.score = nn.Linear(hidden, 1, bias=False)  # a bias would change no weight

    def forward(self, features: Tensor, present: Tensor) -> Tensor:
        """Compute weights (batch, views) float32, which sum to 1 over the images that are present and are 0 elsewhere."""
        scores = self.score(self.value(features).tanh() * self.gate(features).sigmoid()).squeeze(-1)
        weights: Tensor = scores.float().masked_fill(~present, -torch.inf).softmax(dim=1)
        return weights


class Attention(nn.Module):
    """See `attention`."""

    def __init__(self, n_features: int, hidden: int) -> None:
        super().__init__()
        self.n_features, self.weights = n_features, Weights(n_features, hidden)

    def forward(self, features: Tensor, present: Tensor) -> Tensor:
        """Average features (batch, views, n) to (batch, n)."""
        return (self.weights(features, present).unsqueeze(-1) * features).sum(dim=1)


class Concatenation(nn.Module):
    """See `concat`."""

    def __init__(self, n_features: int, n_views: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.n_features = hidden
        self.missing = nn.Parameter(torch.zeros(n_views, n_features))
        self.layer = nn.Sequential(nn.Linear(n_views * n_features, hidden), nn.ReLU(), nn.Dropout(dropout))

    def forward(self, features: Tensor, present: Tensor) -> Tensor:
        """Join features (batch, views, n) to (batch, hidden).

        Raises:
            ConfigError: a case has more views than the layer takes.
        """
        views, most = features.shape[1], len(self.missing)
        if views > most:
            raise ConfigError(
                f"models[].views: concat joins {most} images per case, but a case has {views}. Set views: {{concat: {{n_views: "
                f"{views}}}}}, or use attention, which takes any number."
            )
        absent = self.missing.to(features.dtype).expand(len(features), -1, -1)
        found = torch.where(present.unsqueeze(-1), features, absent[:, :views])
        joined: Tensor = self.layer(torch.cat([found, absent[:, views:]], dim=1).flatten(1))
        return joined


class Recurrent(nn.Module):
    """See `lstm`."""

    def __init__(self, n_features: int, hidden: int, layers: int, bidirectional: bool, dropout: float) -> None:
        super().__init__()
        between = dropout if layers > 1 else 0.0
        self.lstm = nn.LSTM(n_features, hidden, layers, dropout=between, bidirectional=bidirectional, batch_first=True)
        self.n_features, self.dropout = hidden * (1 + bidirectional), nn.Dropout(dropout)
        self.pool = Attention(self.n_features, hidden)

    def forward(self, features: Tensor, present: Tensor) -> Tensor:
        """Return features (batch, n_features) of sequences (batch, views, n), from which missing images are taken out."""
        pooled: Tensor = self.pool(self.dropout(self._outputs(features, present)), present)
        return pooled

    def _outputs(self, features: Tensor, present: Tensor) -> Tensor:
        if features.shape[1] == 1:  # nothing to pack; the meta device cannot
            outputs: Tensor = self.lstm(features)[0]
            return outputs
        sequences = [*torch.split(features[present], present.sum(dim=1).tolist())]
        found = torch.cat(unpack_sequence(self.lstm(pack_sequence(sequences, enforce_sorted=False))[0]))
        by_view = found.new_zeros(*present.shape, found.shape[1])
        by_view[present] = found
        return by_view


class Transformer(nn.Module):
    """See `transformer`."""

    def __init__(self, n_features: int, width: int, layers: int, heads: int, dropout: float, positions: bool) -> None:
        super().__init__()
        self.n_features, self.positions = width, positions
        self.first = nn.Linear(n_features, width)
        self.layers = nn.ModuleList(_Layer(width, heads, dropout) for _ in range(layers))
        self.norm, self.pool = nn.LayerNorm(width), Attention(width, width)

    def forward(self, features: Tensor, present: Tensor) -> Tensor:
        """Return features (batch, width) of sequences (batch, views, n)."""
        found: Tensor = self.first(features)
        if self.positions:
            found = found + _positions(features.shape[1], self.n_features, features.device)
        for layer in self.layers:
            found = layer(found, present)
        pooled: Tensor = self.pool(self.norm(found), present)
        return pooled


class _Layer(nn.Module):
    """Self-attention and two linear layers, each after normalisation and added to its input (Xiong et al. 2020)."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, nn.Dropout(dropout)
        self.before, self.query, self.key_value = (
            nn.LayerNorm(width), nn.Linear(width, width), nn.Linear(width, 2 * width, bias=False),
        )  # fmt: skip
        self.out = nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, features: Tensor, present: Tensor) -> Tensor:
        """Return features (batch, views, width), which depend on images that are present alone."""
        features = features + self.dropout(self._attended(self.before(features), present))
        mixed: Tensor = features + self.dropout(self.mlp(features))
        return mixed

    def _attended(self, features: Tensor, present: Tensor) -> Tensor:
        query, (key, value) = self.query(features), self.key_value(features).chunk(2, dim=-1)
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (query, key, value))
        scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
        shares = scores.float().masked_fill(~present[:, None, None], -torch.inf).softmax(dim=-1).to(value.dtype)
        found: Tensor = self.out((shares @ value).transpose(1, 2).flatten(2))
        return found


def _positions(n: int, width: int, device: torch.device) -> Tensor:
    """Sinusoidal positions (n, width), width even (Vaswani et al. 2017, section 3.5)."""
    steps = torch.arange(width // 2, device=device, dtype=torch.float32)
    angles = torch.arange(n, device=device).unsqueeze(1) * torch.exp(steps * (-2 * math.log(PERIOD) / width))
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def _refuse_below(least: int, **given: int) -> None:
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ConfigError(f"views: {name} = {value} must be a whole number of at least {least}")


def _refuse_share(**given: float) -> None:
    for name, value in given.items():
        if not 0 <= value < 1:
            raise ConfigError(f"views: {name} = {value} must be at least 0 and below 1")
