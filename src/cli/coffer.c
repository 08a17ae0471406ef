/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/coffer.c - main() of the program; the tests link cli_main() without it
 */
#include "cli/cli.h"

int main(int argc, char *argv[])
{
	return cli_main(argc, argv);
}
