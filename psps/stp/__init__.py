"""STP: direct SPEI, deposits in and orders out."""
