"""Nearest neighbours by cosine, exact."""

import importlib.util
from typing import Any

import torch
from torch import Tensor

from goldfold.base.errors import GoldfoldError, cause

BLOCK = 64
"""Queries that are compared at a time: with 100,000 rows, 26 MB of similarities."""
LEAST_QUERIES = 20
"""Queries from which faiss computes matrix products, its default in earlier versions."""
SPARE = 16
"""Candidates beyond k, so that the k nearest are among them however their similarities were rounded."""


class Search:
    """Finds the k rows of an index with the largest cosine to each query; of equal ones the first rows.

    Candidates come from matrix products in blocks, or from faiss where it is installed and the index is on the CPU. Their
    similarities are then computed once more in float64, so that both ways find the same neighbours with the same
    similarities.
    """

    def __init__(self, index: Tensor, with_faiss: bool | None = None) -> None:
        """Prepare the search.

        Args:
            index: (rows, width) float32, of unit length.
            with_faiss: None to use it where it is installed.
        """
        self.index = index
        wanted = importlib.util.find_spec("faiss") is not None if with_faiss is None else with_faiss
        self.engine: Any = _faiss(index) if wanted and index.device.type == "cpu" and len(index) else None

    def nearest(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Return the cosines (queries, k) float32 of the nearest rows, falling, and their numbers; of a small index all rows.

        Args:
            queries: (queries, width) float32, of unit length.
        """
        k = min(k, len(self.index))
        cosines = queries.new_empty(len(queries), k)  # filled in place: results kept between blocks fragment the memory
        rows = torch.empty(len(queries), k, dtype=torch.int64, device=queries.device)
        for start in range(0, len(queries), BLOCK):
            stop = start + BLOCK
            cosines[start:stop], rows[start:stop] = self._block(queries[start:stop], k)
        return cosines, rows

    def _block(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        n = min(k + SPARE, len(self.index))
        if self.engine is not None:
            rows = torch.from_numpy(self.engine.search(queries.numpy(), n)[1])
        else:
            rows = (queries @ self.index.T).topk(n, dim=1).indices
        rows = rows.sort(dim=1).values
        exact = (self.index[rows].double() * queries.double().unsqueeze(1)).sum(dim=2).float()
        order = exact.sort(dim=1, descending=True, stable=True).indices[:, :k]
        return exact.gather(1, order), rows.gather(1, order)


def _faiss(index: Tensor) -> Any:
    """Build an exact index of faiss, which uses torch's number of threads.

    Raises:
        GoldfoldError: faiss cannot be imported.
    """
    try:
        import faiss
    except ImportError as error:
        raise GoldfoldError(
            f"faiss cannot be imported ({cause(error)}): pip install 'goldfold[faiss]', or uninstall faiss-cpu; without it the "
            f"search finds the same neighbours by matrix products"
        ) from error
    faiss.omp_set_num_threads(torch.get_num_threads())
    faiss.cvar.distance_compute_blas_threshold = LEAST_QUERIES  # else 64 queries take 10 times as long in faiss 1.15
    built = faiss.IndexFlatIP(index.shape[1])
    built.add(index.numpy())
    return built
