"""`python -m schemas`: write the `.avsc` and lock lines of records whose classes have changed."""

from schemas.avro import generate

for path in generate():
    print(f"wrote {path.name}")
