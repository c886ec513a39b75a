"""Records and pages from elsewhere: Google Cloud Storage, archives, Kaggle."""
