"""Pages labelled with a trained network: scale, orientation, tiles, pictures, reports."""
