"""What an event is: the records, their Avro schemas, ids, headers and file form. Imports nothing of ours."""
