"""Patches of vision transformers, which may leave pixels of an image out."""

from typing import Any

from torch import nn

from goldfold.base.words import count


def ignored(network: nn.Module, size: tuple[int, int]) -> str:
    """Describe the pixels of images of ``size`` (height, width) that no patch covers; empty if there are none.

    A transformer of timm whose images are no multiple of its patches drops the last rows and columns without a word.
    """
    from timm.layers import PatchEmbed

    for part in network.modules():
        patch: Any = getattr(part, "patch_size", None)
        if not isinstance(part, PatchEmbed) or not part.strict_img_size or not isinstance(patch, tuple):
            continue
        rows, columns = (side % one for side, one in zip(size, patch, strict=True))
        if rows or columns:
            left = [*[count(rows, "row")] * bool(rows), *[count(columns, "column")] * bool(columns)]
            cuts = f"it cuts images into patches of {patch[0]}x{patch[1]} pixels"
            return f"{cuts}, and would ignore the last {' and '.join(left)}"
    return ""
