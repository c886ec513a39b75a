"""The paper: records in, calibrated page images with exact labels out."""

__version__ = "0.1.0"
