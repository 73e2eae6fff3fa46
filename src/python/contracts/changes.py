"""Which changes of a picture keep its class: what augmentation may do, and what model tests hold a model to."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Changes:
    """At full strength. The defaults are those of an X-ray; 0 or False: the change makes another picture of it."""

    mirror: bool = True  # left becomes right
    turn: float = 12.0  # degrees, either way
    shift: float = 0.08  # share of the side, in each direction
    zoom: float = 0.18  # natural logarithm of the scale, either way
    brightness: float = 1.0  # of an X-ray's changes of exposure

    def __post_init__(self) -> None:
        limits = {"turn": 180, "shift": 0.5, "zoom": 1, "brightness": 2}
        for name, most in limits.items():
            if not 0 <= getattr(self, name) <= most:
                raise ValueError(f"Expected {name} between 0 and {most}. Received: {getattr(self, name)}")

    def as_dict(self) -> dict[str, bool | float]:
        return asdict(self)
