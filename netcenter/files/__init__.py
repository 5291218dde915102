"""Files of records: their rows and lines become records."""
