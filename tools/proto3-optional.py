#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Rewrite a .proto so that protobuf-c can compile it.

protobuf-c knows no proto3 `optional`.  A one-member oneof has the same wire
format and the same presence, so

    optional T name = N;    becomes    oneof _name { T name = N; }

which is also how protoc itself represents it.  The C package prefix is set in
the same pass, so that the source file carries nothing of any one generator.

usage: proto3-optional.py C_PACKAGE INPUT OUTPUT
"""

import re
import sys

OPTIONAL = re.compile(r"^(\s*)optional\s+([\w.]+)\s+(\w+)\s*=\s*(\d+)\s*;")
PACKAGE = re.compile(r"^package\s+[\w.]+;", re.MULTILINE)


def main():
    package, source, target = sys.argv[1:]
    with open(source, encoding="utf-8") as f:
        lines = f.read().split("\n")
    text = "\n".join(
        OPTIONAL.sub(r"\1oneof _\3 { \2 \3 = \4; }", line) for line in lines
    )
    if re.search(r"^\s*optional\b", text, re.MULTILINE):
        sys.exit(f"{source}: an optional field that this script cannot rewrite")
    text, n = PACKAGE.subn(
        lambda m: m.group(0)
        + '\n\nimport "protobuf-c/protobuf-c.proto";'
        + f'\n\noption (pb_c_file).c_package = "{package}";',
        text,
        count=1,
    )
    if n != 1:
        sys.exit(f"{source}: no package line")
    with open(target, "w", encoding="utf-8") as f:
        f.write(text)


if __name__ == "__main__":
    main()
