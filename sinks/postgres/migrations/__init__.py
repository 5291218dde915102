"""The migrations; this folder is a package so that an installed Netcenter contains them."""
