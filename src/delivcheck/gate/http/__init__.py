"""What the gate serves over HTTP: the Web Service, the collector of opens, clicks and unsubscribes, what providers report."""
