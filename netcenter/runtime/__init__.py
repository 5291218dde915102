"""What the settings name becomes an object or an address: servers, classifiers, the log."""
