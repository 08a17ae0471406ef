/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/sanitized.h - COFFER_SANITIZED is defined where a sanitizer's runtime is in the process
 */
#ifndef BASE_SANITIZED_H
#define BASE_SANITIZED_H

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) /* gcc */
#define COFFER_SANITIZED
#elif defined(__has_feature) /* clang */
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define COFFER_SANITIZED
#endif
#endif

#endif /* BASE_SANITIZED_H */
