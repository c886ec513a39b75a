"""Everything that happens to a page between the printer and the picture: print, wear, optics, screens, cameras."""
