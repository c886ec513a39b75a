"""The files that records come in: tables of text and WFDB, under whatever names, units and rates."""
