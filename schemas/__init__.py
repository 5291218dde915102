"""The records: their classes, Avro schemas, ids, headers and form in files. Imports no other folder of the project."""
