/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/control.h - the monitor's control socket, see rpc/proto/monitor.proto
 */
#ifndef VMM_CONTROL_H
#define VMM_CONTROL_H

#include "vmm/monitor.h"

struct control;

/* control_new() - Serve on the listener @fd (taken over on success) */
int control_new(struct monitor *mon, int fd, struct control **out, struct coffer_error *err);
/* control_event() - Tell those who listen; a final event ends their streams. @ctl may be NULL */
void control_event(struct control *ctl, const struct machine_event *ev);
void control_free(struct control *ctl);

#endif /* VMM_CONTROL_H */
