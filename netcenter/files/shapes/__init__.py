"""The shapes that a file of records may have: how its bytes become rows."""
