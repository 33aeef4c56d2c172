"""Numbers of fitted heads for the layers of `goldfold.bundles.fitted_layers`: arrays, and no pickled code."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import GoldfoldError
from goldfold.heads import boosted, mlp, neighbours
from goldfold.heads.fitting import FittedHead, Standard
from goldfold.heads.protocol import LABEL
from goldfold.heads.zero_shot import ZeroShot

Arrays = dict[str, NDArray[Any]]


def arrays_of(head: FittedHead) -> Arrays | None:
    """Return the buffers of the layer of a head; None for one without such a layer."""
    found = head.predict
    if isinstance(found, mlp.Fitted):
        return _perceptron(found, head.standard)
    if isinstance(found, ZeroShot):
        return {"classes": found.classes, "scale": np.array(found.scale)}
    if isinstance(found, mlp.OneClass):
        return _constant(found, len(head.standard.centre))
    if isinstance(found, neighbours.Fitted):
        return {
            "centre": head.standard.centre,
            "spread": head.standard.spread,
            "known": neighbours.unit(found.features),
            "values": found.head.values(found.target),
            "k": np.array(found.k),
        }
    return _trees(found, head.standard) if isinstance(found, boosted.Fitted) else None


def _perceptron(found: mlp.Fitted, standard: Standard) -> Arrays:
    (first, last), (first_bias, last_bias) = found.model.coefs_, found.model.intercepts_
    axes, centre = found.reduced.axes, standard.centre + found.reduced.centre * standard.spread
    folded = first.T.astype(np.float64) @ (axes / standard.spread)
    rows, bias = last.T, last_bias
    seen = np.arange(len(rows))
    if found.head.target == LABEL:
        rows, bias = _of_two(rows, bias)
        seen = found.model.classes_
    return {
        "first": folded,
        "first_bias": first_bias - folded @ centre,
        "last": rows,
        "last_bias": bias,
        "seen": np.asarray(seen, dtype=np.int64),
    }


def _of_two(rows: NDArray[Any], bias: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return rows of two classes with the same probabilities, where one row has the log odds of the second."""
    if len(rows) > 1:
        return rows, bias
    return np.concatenate([-rows, rows]) / 2, np.concatenate([-bias, bias]) / 2


def _constant(found: mlp.OneClass, width: int) -> Arrays:
    return {
        "first": np.zeros((1, width)),
        "first_bias": np.zeros(1),
        "last": np.zeros((1, 1)),
        "last_bias": np.zeros(1),
        "seen": np.array([found.number]),
    }


def _trees(found: boosted.Fitted, standard: Standard) -> Arrays:
    trees, outputs, baseline, seen = list[Any](), list[int](), list[float](), list[int]()
    signs = list[float]()
    for model, target in found.models:
        if model is None:
            baseline += [0.0] if found.head.target == LABEL else [float(found.head.constant(target, 1)[0, 0])]
            seen += [int(target[0])] if found.head.target == LABEL else [0]
            continue
        first = len(baseline)
        start, rounds = _start_and_rounds(model)
        is_halved = found.head.target == LABEL and len(start) == 1  # log odds of the second of two classes
        baseline += [-start[0] / 2, start[0] / 2] if is_halved else start
        seen += model.classes_.astype(int).tolist() if found.head.target == LABEL else [0]
        for of_round in rounds:
            for place, tree in enumerate(of_round):
                copies = [(0, -0.5), (1, 0.5)] if is_halved else [(place, 1.0)]
                for output, sign in copies:
                    trees.append(tree.nodes)
                    outputs.append(first + output)
                    signs.append(sign)
    return {
        "centre": standard.centre,
        "spread": standard.spread,
        "middle": found.reduced.centre,
        "axes": found.reduced.axes,
        "baseline": np.array(baseline),
        "seen": np.array(seen),
        "output": np.array(outputs, dtype=np.int64),
        **_nodes(trees, signs),
    }


def _start_and_rounds(model: Any) -> tuple[list[float], Any]:
    """Return the outputs (outputs,) before the first tree, and the trees of each round, of which each has ``nodes``."""
    try:  # scikit-learn has no public access to its trees
        return model._baseline_prediction.ravel().tolist(), model._predictors
    except AttributeError as error:
        import sklearn

        raise GoldfoldError(
            f"boosted: the trees of scikit-learn {sklearn.__version__} cannot be read ({error}). Export with the version of "
            "requirements.lock, or use a logistic, ridge, mlp or knn head."
        ) from error


def _nodes(trees: list[NDArray[Any]], signs: list[float]) -> Mapping[str, NDArray[Any]]:
    """Return the nodes of trees (trees, nodes), filled up with leaves that no path reaches."""
    most = max([1, *map(len, trees)])
    own = np.tile(np.arange(most), (len(trees), 1))
    found = {"feature": np.zeros_like(own), "left": own.copy(), "right": own.copy()}
    numbers = {"threshold": np.zeros(own.shape), "value": np.zeros(own.shape)}
    for row, (nodes, sign) in enumerate(zip(trees, signs, strict=True)):
        is_inner, width = nodes["is_leaf"] == 0, len(nodes)
        for name, of in (("feature", "feature_idx"), ("left", "left"), ("right", "right")):
            found[name][row, :width][is_inner] = nodes[of][is_inner]
        numbers["threshold"][row, :width] = nodes["num_threshold"]
        numbers["value"][row, :width] = sign * nodes["value"]
    return {**found, **numbers}
