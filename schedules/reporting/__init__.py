"""What people read and print: the page of a certificate, the report of a day, the same as CSV."""
