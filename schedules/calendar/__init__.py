"""Mexico's days: banking days and SPEI's operating date, civil days of a zone, known pauses. Pure; imports nothing of ours."""
