"""Programs that write files of this repository; no worker imports them."""
