"""The documentation, run.

How a page says what can be run:

- A `console` block holds commands, each behind `$ `, and what they print. They run in the order of the page, in a copy
  of the product. A command must end with code 0, unless `$ echo $?` follows it. What is printed must be what the page
  shows, where a line of `...` stands for any lines, and `...` within a line for any text. `$ make run` starts a
  server, `^C` stops it; other targets of `make` must exist.
- A `sh` block is for other machines. Those of a chapter run one after the other, in a copy of the product beside a
  server that runs, with stand-ins for the tools that a test does not have: `stand_ins.py` says what these do.
  `test_elsewhere.py` names the chapters that are not run, and why.
- A block whose first line is a comment with a path is a file, written to that path.
- Any other `yaml` block is a part of a pipeline file, and must be well-formed.
- Tables under the headings that `test_contents.py` names are compared with the code.
"""
