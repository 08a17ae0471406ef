/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/payload/live.h - verbs that go on until they are killed
 */
#ifndef PAYLOAD_LIVE_H
#define PAYLOAD_LIVE_H

int verb_collect(int argc, char **argv);
int verb_console(int argc, char **argv);
int verb_count(int argc, char **argv);
int verb_dgram(int argc, char **argv);
int verb_lock(int argc, char **argv);
int verb_tcp(int argc, char **argv);
int verb_unix(int argc, char **argv);

#endif /* PAYLOAD_LIVE_H */
