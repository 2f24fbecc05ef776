"""Which hum this is. The package is built with this number.

A constant, because asking the installation for it loads a mail parser and an archiver into every
process.
"""

HUM_VERSION = "0.1.0"
