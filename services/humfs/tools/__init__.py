"""The tools humfs offers. A tool is a file here with a `Tool` in it, listed in `service`."""
