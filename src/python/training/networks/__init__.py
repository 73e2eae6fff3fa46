"""Families of networks, a module each, and what a model's own network.py must keep to.

A family is a module with a function `build(parameters, image, classes)`: a Keras model from float32 pixels
[N, *image.shape] in 0..255 to logits [N, classes]. `image` is the model's imaging.ImageInput. The rest is optional:

Parameters                            a frozen dataclass of plain values with defaults; what `build` gets, else None
SCHEDULE                              values of training.step.Schedule in the place of its defaults, {name: value}
trials(parameters, image, schedule)   the networks to try in turn, [(parameters, image, schedule), …], the first first
space(parameters, image)              what the search may choose, {name: [values]}: names of Parameters, or "size"
pretrained(parameters, image)         weights from elsewhere to begin with, a training.family.Pretrained or None
"""
