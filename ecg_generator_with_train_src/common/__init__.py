"""What every step needs: errors, command lines, batches, files, images, classes, random numbers."""
