"""Fetch published weights once, before any job runs: ``python -m goldfold.models.prefetch resnet18.a1_in1k ...``.

Jobs then find them in the cache, on nodes without a network too, and two jobs never download the same file.
"""

import sys

from goldfold.models.timm_models import offline


def fetch(backbone: str) -> None:
    """Bring the weights of a timm network into the cache.

    Raises:
        Exception: they cannot be had; the kind depends on what failed.
    """
    import timm
    from timm.models import load_state_dict_from_hf
    from torch.hub import load_state_dict_from_url

    settings = timm.get_pretrained_cfg(backbone)
    if settings is None or not settings.has_weights:
        raise LookupError("timm has no published weights for it")
    if settings.hf_hub_id:
        load_state_dict_from_hf(settings.hf_hub_id, settings.hf_hub_filename or "")
    elif settings.url:
        load_state_dict_from_url(settings.url, map_location="cpu", weights_only=True)


def main(backbones: list[str]) -> int:
    """Fetch each; print one line for each that cannot be had; return the exit status."""
    failed = 0
    for backbone in backbones:
        try:
            fetch(backbone)
        except Exception as error:
            print(f"goldfold: {offline(backbone, error)}", file=sys.stderr)
            failed += 1
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
