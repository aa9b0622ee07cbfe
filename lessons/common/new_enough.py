"""Imported before what an older Python cannot even read: then it says so in a sentence."""

import sys

if sys.version_info < (3, 11):
    sys.exit("this is Python %d.%d, and Netsteps needs 3.11 or newer" % sys.version_info[:2])
