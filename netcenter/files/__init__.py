"""Files of records: JSON lines and CSV become records, and a record becomes its JSON line."""
