/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/sanitized.h - COFFER_SANITIZED is defined where a sanitizer's runtime is in the process
 */
#ifndef BASE_SANITIZED_H
#define BASE_SANITIZED_H

#ifdef __SANITIZE_ADDRESS__ /* gcc */
#define COFFER_SANITIZED
#elif defined(__has_feature) /* clang */
#if __has_feature(address_sanitizer)
#define COFFER_SANITIZED
#endif
#endif

#endif /* BASE_SANITIZED_H */
