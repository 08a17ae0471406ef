/* SPDX-License-Identifier: Apache-2.0 */
/* The specification's rules: each broken once, with the exact message. */
#include <errno.h>

#include "spec_text.h"

/* The shortest valid config, open at its end for further members of linux or the top. */
#define TOP                                                                                        \
	"'ociVersion':'1.2.0','process':{'cwd':'/','args':['sh']},"                                \
	"'root':{'path':'rootfs'}"
#define WITH(members)  "{" TOP "," members "}"
#define LINUX(members) WITH("'linux':{" members "}")
#define PROCESS(members)                                                                           \
	"{'ociVersion':'1.2.0','root':{'path':'r'},"                                               \
	"'process':{'cwd':'/','args':['sh']," members "}}"

static void valid(const char *quoted)
{
	auto_oci_spec struct oci_spec *s = text_parse(quoted);
	struct coffer_error err = COFFER_ERROR_INIT;

	if (oci_spec_validate(s, &err) != 0)
		fail_msg("%s", err.message);
}

static void invalid(const char *quoted, const char *message)
{
	auto_oci_spec struct oci_spec *s = text_parse(quoted);
	struct coffer_error err = COFFER_ERROR_INIT;

	assert_int_equal(oci_spec_validate(s, &err), -EINVAL);
	assert_string_equal(err.message, message);
}

static void test_valid(void **state)
{
	valid("{" TOP "}");
	valid(WITH("'mounts':[{'destination':'relative'}]"));
	valid(LINUX("'namespaces':[{'type':'pid'},{'type':'network'},{'type':'mount'},"
		    "{'type':'ipc'},{'type':'uts'},{'type':'user','path':'/p'},{'type':'cgroup'},"
		    "{'type':'time'}],'timeOffsets':{'monotonic':{'secs':1}}"));
	valid(LINUX("'cgroupsPath':'system.slice:coffer:..x'"));
	valid(LINUX("'sysctl':{'net.ipv4.conf.eth0/1.forwarding':'1','net/core/somaxconn':'1'}"));
	valid(LINUX("'devices':[{'path':'/dev/p','type':'p','major':-1}]"));
	valid(PROCESS("'env':['no equals sign',''],'user':{'umask':511}"));
	valid(PROCESS("'capabilities':{'bounding':['CAP_UNKNOWN','UNKNOWN_CAP2']}"));
	assert_int_equal(oci_capability("CAP_CHOWN"), 0);
	assert_int_equal(oci_capability("CAP_CHECKPOINT_RESTORE"), 40);
	assert_int_equal(oci_capability("CAP_UNKNOWN"), -ENOENT);
	assert_int_equal(oci_capability("CAP_chown"), -EINVAL);
}

static void test_document(void **state)
{
	invalid("{'process':{'cwd':'/','args':['a']},'root':{'path':'r'}}", "ociVersion: missing");
	invalid("{'ociVersion':'2.0.0'}", "ociVersion: \"2.0.0\" is not a supported version (1.x)");
	invalid("{'ociVersion':'1.x'}", "ociVersion: \"1.x\" is not a supported version (1.x)");
	invalid("{'ociVersion':'1.0.2'}", "process: missing");
	invalid("{'ociVersion':'1.0.2','process':{'cwd':'/','args':['a']}}", "root.path: missing");
	invalid("{'ociVersion':'1.0.2','process':{'cwd':'/','args':['a']},'root':{'path':''}}",
		"root.path: missing");
	invalid(WITH("'hostname':'box'"), "hostname: set without a uts namespace");
	invalid(WITH("'domainname':'box'"), "domainname: set without a uts namespace");
	invalid(
	    WITH("'hostname':'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'"),
	    "hostname: \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\" is "
	    "not at most 64 bytes long");
	invalid(WITH("'annotations':{'':'x'}"), "annotations[\"\"]: \"\" is not allowed");
	invalid(WITH("'hooks':{'poststart':[{'path':'/a'},{'path':'b'}]}"),
		"hooks.poststart[1].path: \"b\" is not an absolute path");
	invalid(WITH("'hooks':{'prestart':[{'path':'/a','timeout':0}]}"),
		"hooks.prestart[0].timeout: 0 is not positive");
}

static void test_process(void **state)
{
	invalid("{'ociVersion':'1.2.0','process':{'args':['a']}}", "process.cwd: missing");
	invalid("{'ociVersion':'1.2.0','process':{'cwd':'a/b','args':['a']}}",
		"process.cwd: \"a/b\" is not an absolute path");
	invalid("{'ociVersion':'1.2.0','process':{'cwd':'/'}}", "process.args: must not be empty");
	invalid(PROCESS("'consoleSize':{'height':70000,'width':1}"),
		"process.consoleSize.height: 70000 is not within 0 to 65535");
	invalid(PROCESS("'user':{'umask':512}"),
		"process.user.umask: 1000 is more than 777 (octal)");
	invalid(PROCESS("'capabilities':{'ambient':['CAP_KILL','cap_kill']}"),
		"process.capabilities.ambient[1]: \"cap_kill\" is not a capability name (CAP_...)");
	invalid(PROCESS("'capabilities':{'bounding':['CAP_']}"),
		"process.capabilities.bounding[0]: \"CAP_\" is not a capability name (CAP_...)");
	invalid(PROCESS("'capabilities':{'effective':['CAP_CHECKPOINT_RESTORE','']}"),
		"process.capabilities.effective[1]: \"\" is not a capability name (CAP_...)");
	invalid(PROCESS("'capabilities':{'effective':['CAP TELEPORT']}"),
		"process.capabilities.effective[0]: \"CAP TELEPORT\" is not a capability name "
		"(CAP_...)");
	invalid(PROCESS("'capabilities':{'permitted':['_CAP']}"),
		"process.capabilities.permitted[0]: \"_CAP\" is not a capability name (CAP_...)");
	invalid(PROCESS("'user':{'uid':4294967295}"), "process.user.uid: 4294967295 is no id");
	invalid(PROCESS("'user':{'gid':4294967295}"), "process.user.gid: 4294967295 is no id");
	invalid(PROCESS("'user':{'additionalGids':[1,4294967295]}"),
		"process.user.additionalGids[1]: 4294967295 is no id");
	invalid(PROCESS("'rlimits':[{'type':'RLIMIT_X','soft':0,'hard':0}]"),
		"process.rlimits[0].type: \"RLIMIT_X\" is not a known resource limit");
	invalid(PROCESS("'rlimits':[{'type':'RLIMIT_CPU','soft':18446744073709551615,'hard':1}]"),
		"process.rlimits[0].soft: 18446744073709551615 is more than the hard limit 1");
	invalid(PROCESS("'rlimits':[{'type':'RLIMIT_CPU','soft':0,'hard':1},"
			"{'type':'RLIMIT_AS','soft':0,'hard':1},"
			"{'type':'RLIMIT_CPU','soft':0,'hard':1}]"),
		"process.rlimits[2].type: RLIMIT_CPU is repeated");
	invalid(PROCESS("'oomScoreAdj':1001"),
		"process.oomScoreAdj: 1001 is not within -1000 to 1000");
	invalid(PROCESS("'scheduler':{'policy':'SCHED_X'}"),
		"process.scheduler.policy: \"SCHED_X\" is not a known scheduling policy");
	invalid(PROCESS("'scheduler':{'policy':'SCHED_RR','nice':20}"),
		"process.scheduler.nice: 20 is not within -20 to 19");
	invalid(PROCESS("'scheduler':{'policy':'SCHED_RR','flags':['X']}"),
		"process.scheduler.flags[0]: \"X\" is not a known scheduling flag");
	invalid(PROCESS("'ioPriority':{'class':'X','priority':0}"),
		"process.ioPriority.class: \"X\" is not a known I/O priority class");
	invalid(PROCESS("'ioPriority':{'class':'IOPRIO_CLASS_BE','priority':8}"),
		"process.ioPriority.priority: 8 is not within 0 to 7");
	invalid(PROCESS("'execCPUAffinity':{'final':'0;1'}"),
		"process.execCPUAffinity.final: \"0;1\" is not a list of numbers such as 0-3,7");
}

static void test_mounts_and_mappings(void **state)
{
	invalid(WITH("'mounts':[{'destination':'/a',"
		     "'uidMappings':[{'containerID':0,'hostID':0,'size':1}]}]"),
		"mounts[0].gidMappings: missing beside uidMappings");
	invalid(WITH("'mounts':[{'destination':'/a',"
		     "'gidMappings':[{'containerID':0,'hostID':0,'size':0}]}]"),
		"mounts[0].gidMappings[0].size: must not be 0");
	invalid(LINUX("'uidMappings':[{'containerID':4294967295,'hostID':0,'size':2}]"),
		"linux.uidMappings[0].size: 2 ids do not fit above the first one");
	invalid(LINUX("'uidMappings':[{'containerID':0,'hostID':0,'size':1}],"
		      "'gidMappings':[{'containerID':0,'hostID':0,'size':1}]"),
		"linux.uidMappings: set without a user namespace");
	invalid(LINUX("'namespaces':[{'type':'user'}]"),
		"linux.uidMappings: missing for a new user namespace");
	invalid(LINUX("'gidMappings':[{'containerID':0,'hostID':0,'size':1}]"),
		"linux.uidMappings: missing beside gidMappings");
}

static void test_linux(void **state)
{
	invalid(LINUX("'namespaces':[{'type':'net'}]"),
		"linux.namespaces[0].type: \"net\" is not a known namespace type");
	invalid(LINUX("'namespaces':[{'type':'pid'},{'type':'ipc'},{'type':'pid','path':'/x'}]"),
		"linux.namespaces[2].type: pid is repeated");
	invalid(LINUX("'namespaces':[{'type':'pid','path':'x'}]"),
		"linux.namespaces[0].path: \"x\" is not an absolute path");
	invalid(LINUX("'timeOffsets':{'monotonic':{}}"),
		"linux.timeOffsets: set without a time namespace");
	invalid(LINUX("'timeOffsets':{'realtime':{}}"),
		"linux.timeOffsets[\"realtime\"]: \"realtime\" is not a clock with an offset "
		"(monotonic or boottime)");
	invalid(
	    LINUX("'timeOffsets':{'boottime':{'nanosecs':1000000000}}"),
	    "linux.timeOffsets[\"boottime\"].nanosecs: 1000000000 is not within 0 to 999999999");
	invalid(LINUX("'devices':[{'path':'dev/x','type':'c'}]"),
		"linux.devices[0].path: \"dev/x\" is not an absolute path");
	invalid(LINUX("'devices':[{'path':'/x','type':'d'}]"),
		"linux.devices[0].type: \"d\" is not a device type (c, b, u or p)");
	invalid(LINUX("'devices':[{'path':'/x','type':'c','minor':1048576}]"),
		"linux.devices[0].minor: 1048576 is not within 0 to 1048575");
	invalid(LINUX("'cgroupsPath':'/a/../b'"),
		"linux.cgroupsPath: \"/a/../b\" is not a path without \"..\"");
	invalid(LINUX("'cgroupsPath':'..'"),
		"linux.cgroupsPath: \"..\" is not a path without \"..\"");
	invalid(LINUX("'rootfsPropagation':'x'"),
		"linux.rootfsPropagation: \"x\" is not a known mount propagation");
	invalid(LINUX("'maskedPaths':['/a','b']"),
		"linux.maskedPaths[1]: \"b\" is not an absolute path");
	invalid(LINUX("'readonlyPaths':['']"),
		"linux.readonlyPaths[0]: \"\" is not an absolute path");
	invalid(LINUX("'personality':{'domain':'BSD'}"),
		"linux.personality.domain: \"BSD\" is not a known personality (LINUX or LINUX32)");
	invalid(LINUX("'personality':{'domain':'LINUX','flags':['X']}"),
		"linux.personality.flags[0]: \"X\" is not a known personality flag");
	invalid(LINUX("'intelRdt':{'closID':'..'}"),
		"linux.intelRdt.closID: \"..\" is not a file name without slashes");
}

static void test_sysctl_names(void **state)
{
	invalid(LINUX("'sysctl':{'':''}"), "linux.sysctl[\"\"]: \"\" is not a sysctl name");
	invalid(LINUX("'sysctl':{'a..b':''}"),
		"linux.sysctl[\"a..b\"]: \"a..b\" is not a sysctl name");
	invalid(LINUX("'sysctl':{'/a':''}"), "linux.sysctl[\"/a\"]: \"/a\" is not a sysctl name");
	invalid(LINUX("'sysctl':{'a/../b':''}"),
		"linux.sysctl[\"a/../b\"]: \"a/../b\" is not a sysctl name");
	invalid(LINUX("'sysctl':{'a.':''}"), "linux.sysctl[\"a.\"]: \"a.\" is not a sysctl name");
	invalid(LINUX("'sysctl':{'a\\nb':''}"),
		"linux.sysctl[\"a?b\"]: \"a?b\" is not a sysctl name");
}

#define RESOURCES(members) LINUX("'resources':{" members "}")

static void test_resources(void **state)
{
	invalid(RESOURCES("'devices':[{'allow':true,'type':'p'}]"),
		"linux.resources.devices[0].type: \"p\" is not a device type (a, c or b)");
	invalid(RESOURCES("'devices':[{'allow':true,'access':'rx'}]"),
		"linux.resources.devices[0].access: \"rx\" is not made of r, w and m");
	invalid(RESOURCES("'memory':{'swappiness':101}"),
		"linux.resources.memory.swappiness: 101 is not within 0 to 100");
	invalid(RESOURCES("'cpu':{'cpus':'0\\n1'}"),
		"linux.resources.cpu.cpus: \"0?1\" is not a list of numbers such as 0-3,7");
	invalid(RESOURCES("'hugepageLimits':[{'pageSize':'../2MB','limit':0}]"),
		"linux.resources.hugepageLimits[0].pageSize: \"../2MB\" is not a page size such as "
		"2MB");
	invalid(RESOURCES("'hugepageLimits':[{'pageSize':'2','limit':0}]"),
		"linux.resources.hugepageLimits[0].pageSize: \"2\" is not a page size such as 2MB");
	invalid(
	    RESOURCES("'unified':{'../memory.max':'1'}"),
	    "linux.resources.unified[\"../memory.max\"]: \"../memory.max\" is not the name of a "
	    "cgroup file");
	invalid(RESOURCES("'rdma':{'a b':{}}"),
		"linux.resources.rdma[\"a b\"]: \"a b\" is not a single printable word");
	invalid(
	    RESOURCES("'network':{'priorities':[{'name':'a\\nb','priority':1}]}"),
	    "linux.resources.network.priorities[0].name: \"a?b\" is not a single printable word");
}

#define SECCOMP(members) LINUX("'seccomp':{" members "}")
#define SYSCALL(members)                                                                           \
	SECCOMP("'defaultAction':'SCMP_ACT_ALLOW','syscalls':[{'names':['read'],"                  \
		"'action':'SCMP_ACT_ERRNO'," members "}]")

static void test_seccomp(void **state)
{
	invalid(SECCOMP("'defaultAction':'SCMP_ACT_X'"),
		"linux.seccomp.defaultAction: \"SCMP_ACT_X\" is not a known seccomp action");
	invalid(SECCOMP("'defaultAction':'SCMP_ACT_LOG','architectures':['x86']"),
		"linux.seccomp.architectures[0]: \"x86\" is not a known seccomp architecture");
	invalid(SECCOMP("'defaultAction':'SCMP_ACT_LOG','flags':['X']"),
		"linux.seccomp.flags[0]: \"X\" is not a known seccomp filter flag");
	invalid(SECCOMP("'defaultAction':'SCMP_ACT_LOG','listenerMetadata':'x'"),
		"linux.seccomp.listenerMetadata: set without listenerPath");
	invalid(SECCOMP("'defaultAction':'SCMP_ACT_LOG','defaultErrnoRet':65536"),
		"linux.seccomp.defaultErrnoRet: 65536 is not within 0 to 65535");
	invalid(SYSCALL("'errnoRet':65536"),
		"linux.seccomp.syscalls[0].errnoRet: 65536 is not within 0 to 65535");
	invalid(SYSCALL("'args':[{'index':6,'value':0,'op':'SCMP_CMP_EQ'}]"),
		"linux.seccomp.syscalls[0].args[0].index: 6 is not within 0 to 5");
	invalid(SYSCALL("'args':[{'index':0,'value':0,'op':'EQ'}]"),
		"linux.seccomp.syscalls[0].args[0].op: \"EQ\" is not a known seccomp operator");
	invalid(SECCOMP("'defaultAction':'SCMP_ACT_LOG','syscalls':[{'names':[''],"
			"'action':'SCMP_ACT_LOG'}]"),
		"linux.seccomp.syscalls[0].names[0]: \"\" is not allowed");
}

static void test_lone_process(void **state)
{
	struct oci_process p = { 0 };
	struct coffer_error err = COFFER_ERROR_INIT;

	assert_int_equal(oci_process_validate(&p, "process", &err), -EINVAL);
	assert_string_equal(err.message, "process.cwd: missing");
}

/* A spec built in code may lack what the parser would have demanded. */
static void test_built_incomplete(void **state)
{
	auto_oci_spec struct oci_spec *s = NULL;
	struct coffer_error err = COFFER_ERROR_INIT;

	assert_int_equal(oci_spec_default(&s, &err), 0);
	assert_int_equal(oci_mount_add(s, "", "tmpfs", NULL, NULL, &err), 0);
	assert_int_equal(oci_spec_validate(s, &err), -EINVAL);
	assert_string_equal(err.message, "mounts[7].destination: missing");
}

static void test_long_value_is_cut(void **state)
{
	invalid(
	    "{'ociVersion':'1.2.0','process':{'args':['a'],'cwd':'"
	    "0123456789012345678901234567890123456789012345678901234567890123456789"
	    "0123456789012345678901234567890123456789'}}",
	    "process.cwd: \"01234567890123456789012345678901234567890123456789012345678901234567"
	    "890123456789012345678901...\" is not an absolute path");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_valid),
		cmocka_unit_test(test_document),
		cmocka_unit_test(test_process),
		cmocka_unit_test(test_mounts_and_mappings),
		cmocka_unit_test(test_linux),
		cmocka_unit_test(test_sysctl_names),
		cmocka_unit_test(test_resources),
		cmocka_unit_test(test_seccomp),
		cmocka_unit_test(test_lone_process),
		cmocka_unit_test(test_built_incomplete),
		cmocka_unit_test(test_long_value_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
