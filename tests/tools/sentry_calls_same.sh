#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# sentry_calls_same.sh PROGRAM PAGE: the page is what the program prints; make docs writes it.
"$1" | diff -u "$2" -
