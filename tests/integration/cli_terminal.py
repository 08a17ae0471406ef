#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""cli_terminal.py - a person at a terminal: coffer exec -it

Usage: cli_terminal.py COFFER CONTAINER.  Ends with "all good".
"""
import os
import signal
import sys
import termios

from run_terminal import ASLEEP, SIZED, Terminal


def main(coffer, container):
    t = Terminal([coffer, "exec", "-it", container, "sh"], 33, 101)
    t.expect("# ")
    t.type("stty size; tty; echo $TERM\n")
    t.expect("33 101\r\n/dev/pts/")
    t.expect("xterm")
    t.resize(50, 120)
    os.kill(t.pid, signal.SIGWINCH)
    t.type(SIZED)
    t.expect("50 120")
    t.type(f"{ASLEEP}; echo code $?\n")
    t.expect("asleep")
    t.type("\x03")
    t.expect("# ")
    t.type("exit 7\n")
    code = t.wait()
    if code != 7:
        sys.exit(f"exit code {code}, expected 7")
    if termios.tcgetattr(t.slave) != t.before:
        sys.exit("the terminal was not restored")
    print("all good")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
