"""The page: records, geometry, layouts, grid, strokes, style, furniture, and what is drawn from them."""
