"""What humfs does to the machine: open below roots, walk directories, run the pattern child.

Everything on disk is reached through `roots.Roots`, never through a path string.
"""
