"""Counter-based randomness: seeds are a function of named numbers, never of order or clock."""

import hashlib


def counter(*parts: int | str) -> int:
    """A 63-bit seed from numbers and names; the same parts give the same seed on every machine."""
    text = "\0".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1
