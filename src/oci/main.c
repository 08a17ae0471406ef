/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/main.c - main() of coffer-oci; the tests link oci_main() without it
 */
#include "oci/oci.h"
#include "oci/self.h"

int main(int argc, char *argv[])
{
	return oci_main(argc, argv, self_protect);
}
