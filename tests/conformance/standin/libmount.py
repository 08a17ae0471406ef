# SPDX-License-Identifier: Apache-2.0
"""As much of util-linux's Python module as the suites use: options of a mount in a table."""


class Entry:
    def __init__(self, fields):
        self.target = fields[4]
        self.vfs_options = fields[5]
        self.fs_options = fields[fields.index("-") + 3]


class Table:
    def __init__(self, path):
        with open(path, encoding="utf-8") as f:
            rows = [line.split() for line in f if " - " in line]
        self.entries = [Entry(fields) for fields in rows]

    def find_target(self, target):
        found = [e for e in self.entries if e.target == target]
        return found[-1] if found else None
