"""Raw images as small pictures inside the page."""

import base64
import math
from collections.abc import Sequence

from goldfold.data.decode import Undecodable, decode
from goldfold.report.blocks import Picture

TINY_PX = 100
LARGEST_PX = 200
JPEG_QUALITY = 82


def picture(path: str | None, title: str, lines: Sequence[str] = ()) -> Picture:
    """Thumbnail of an image file, an empty place where the file is gone or unreadable.

    An image of up to 100 pixels is kept as it is, for the page to enlarge; a larger one is shrunk to 200.
    """
    import cv2

    try:
        image = decode(path, 3) if path else None
    except (OSError, Undecodable):
        image = None
    if image is None:
        return Picture("", title, lines)
    longest = max(image.shape[:2])
    pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    if longest <= TINY_PX:
        encoded, kind = cv2.imencode(".png", pixels)[1], "png"
    else:
        ratio = min(1.0, LARGEST_PX / longest)
        size = tuple(max(1, math.floor(side * ratio)) for side in (image.shape[1], image.shape[0]))
        small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        encoded, kind = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1], "jpeg"
    uri = f"data:image/{kind};base64,{base64.b64encode(encoded.tobytes()).decode()}"
    return Picture(uri, title, lines, is_tiny=longest <= TINY_PX)
