"""Settlement reports of PSPs: read by a mapping, which is data, imported line by line, and missed where they should be."""
