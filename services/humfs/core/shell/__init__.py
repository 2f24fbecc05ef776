"""What a shell command would do with files, read from its text.

`scripts` finds the simple commands of a script, `wrappers` looks through `env`, `sudo` and nested
shells, `filters` knows which programs only filter a pipe, `routing` decides, `advice` says what to
use instead. This is for the model's convenience: a tool that knows symbols serves it better than
`cat`. It keeps nobody out of anything; the sandbox does.
"""
