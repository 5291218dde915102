"""What developers run and no worker or command imports: manifests, and the tables of the documentation."""
