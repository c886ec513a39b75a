"""The numbers and names of the classes that the pixels of a page are labelled with."""

BACKGROUND, GRID, WAVEFORM = 0, 1, 2
IGNORED = 255  # a pixel with this label is unknown; the loss and the scores leave it out
CLASS_NAMES = ("background", "grid", "waveform")
