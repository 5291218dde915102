"""The receivers of results: a port, and a folder for each receiver that implements the port."""
