"""How bright an image is. Here and not in `imaging`, on which models depend: to change it must train nothing."""


def brightness(pixels: bytes) -> float:
    """Mean gray level, 0 to 255, of every seventh pixel, which tells as much as all of them and costs far less."""
    some = pixels[::7]
    return sum(some) / len(some)
