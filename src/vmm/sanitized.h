/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/sanitized.h - VMM_SANITIZED is defined where a sanitizer's runtime is in the process
 */
#ifndef VMM_SANITIZED_H
#define VMM_SANITIZED_H

#ifdef __SANITIZE_ADDRESS__ /* gcc */
#define VMM_SANITIZED
#elif defined(__has_feature) /* clang */
#if __has_feature(address_sanitizer)
#define VMM_SANITIZED
#endif
#endif

#endif /* VMM_SANITIZED_H */
