"""Programs for developers, which no worker and no command imports: manifests, and the tables of the documentation."""
