"""Where results go: a port, and a folder for each receiver that implements it."""
