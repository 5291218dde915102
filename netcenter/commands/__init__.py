"""The commands, a module for each group; each only reads its words, calls the library, and prints."""
