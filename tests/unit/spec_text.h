/* SPDX-License-Identifier: Apache-2.0 */
/* Helpers of the spec tests: JSON in C source with ' for ", and one-call parsing. */
#ifndef TEST_SPEC_TEXT_H
#define TEST_SPEC_TEXT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "spec/spec.h"

/* text_json() - @quoted with every ' made a "; freed by the caller */
static inline char *text_json(const char *quoted)
{
	char *json = strdup(quoted), *p;

	assert_non_null(json);
	for (p = json; *p != '\0'; p++)
		if (*p == '\'')
			*p = '"';
	return json;
}

/* text_parse() - Parse @quoted, which has to succeed */
static inline struct oci_spec *text_parse(const char *quoted)
{
	autofree char *json = text_json(quoted);
	struct coffer_error err = COFFER_ERROR_INIT;
	struct oci_spec *spec = NULL;

	if (oci_spec_parse(json, strlen(json), &spec, &err) != 0)
		fail_msg("parse: %s", err.message);
	assert_non_null(spec);
	return spec;
}

/* text_refused() - Parse @quoted, which has to fail with exactly @message */
static inline void text_refused(const char *quoted, const char *message)
{
	autofree char *json = text_json(quoted);
	struct coffer_error err = COFFER_ERROR_INIT;
	struct oci_spec *spec = (struct oci_spec *)&err;

	assert_int_equal(oci_spec_parse(json, strlen(json), &spec, &err), -EINVAL);
	assert_string_equal(err.message, message);
	assert_int_equal(err.kind, COFFER_ERR_INVALID_ARGUMENT);
	assert_null(spec);
}

/* clang-format off */
/* A config in which every member of the specification says something. */
static const char text_full[] =
	"{'ociVersion':'1.2.0',"
	"'process':{'terminal':true,'consoleSize':{'height':24,'width':80},"
	" 'user':{'uid':4294967295,'gid':5,'umask':18,'additionalGids':[5,6,4294967294],"
	"  'username':'app:staff'},"
	" 'args':['sh','-c',''],'env':['PATH=/bin','EMPTY='],'cwd':'/',"
	" 'capabilities':{'bounding':['CAP_KILL'],'effective':['CAP_KILL'],"
	"  'inheritable':['CAP_CHOWN'],'permitted':['CAP_KILL','CAP_CHOWN'],"
	"  'ambient':['CAP_SYS_PTRACE']},"
	" 'rlimits':[{'type':'RLIMIT_NOFILE','soft':1024,'hard':18446744073709551615},"
	"  {'type':'RLIMIT_CORE','soft':0,'hard':0}],"
	" 'noNewPrivileges':true,'apparmorProfile':'acme','selinuxLabel':'system_u:object_r:x',"
	" 'oomScoreAdj':-999,"
	" 'scheduler':{'policy':'SCHED_DEADLINE','nice':-20,'priority':3,"
	"  'flags':['SCHED_FLAG_RESET_ON_FORK'],'runtime':1,'deadline':2,"
	"  'period':18446744073709551615},"
	" 'ioPriority':{'class':'IOPRIO_CLASS_BE','priority':4},"
	" 'execCPUAffinity':{'initial':'0-3,7','final':'1'}},"
	"'root':{'path':'/run/rootfs','readonly':true},"
	"'hostname':'box','domainname':'example.org',"
	"'mounts':[{'destination':'/proc','type':'proc','source':'proc','options':['nosuid','ro'],"
	"  'uidMappings':[{'containerID':0,'hostID':1000,'size':1}],"
	"  'gidMappings':[{'containerID':0,'hostID':1000,'size':1}]}],"
	"'hooks':{'prestart':[{'path':'/h','args':['h'],'env':['A=b'],'timeout':5}],"
	" 'createRuntime':[{'path':'/a','args':['a'],'env':['x=y']}],"
	" 'createContainer':[{'path':'/b','args':['b'],'env':['x=y']}],"
	" 'startContainer':[{'path':'/c','args':['c'],'env':['x=y']}],"
	" 'poststart':[{'path':'/d','args':['d'],'env':['x=y']}],"
	" 'poststop':[{'path':'/e','args':['e'],'env':['x=y']}]},"
	"'annotations':{'org.example.a':'','b':'c\\n\\u00e4\\\\'},"
	"'linux':{"
	" 'namespaces':[{'type':'pid','path':'/proc/1/ns/pid'},{'type':'user','path':'/x'},"
	"  {'type':'uts','path':'/u'},{'type':'time','path':'/t'}],"
	" 'uidMappings':[{'containerID':0,'hostID':100000,'size':65536}],"
	" 'gidMappings':[{'containerID':0,'hostID':100000,'size':65536}],"
	" 'timeOffsets':{'monotonic':{'secs':-5,'nanosecs':999999999},'boottime':{'secs':1}},"
	" 'devices':[{'path':'/dev/fuse','type':'c','major':10,'minor':229,'fileMode':438,'uid':0,"
	"  'gid':7}],"
	" 'cgroupsPath':'/coffer/x',"
	" 'resources':{"
	"  'devices':[{'allow':false,'type':'a','access':'rwm'},"
	"   {'allow':true,'type':'c','major':10,'minor':-1,'access':'rw'}],"
	"  'memory':{'limit':536870912,'reservation':-1,'swap':9223372036854775807,'kernel':-1,"
	"   'kernelTCP':0,'swappiness':100,'disableOOMKiller':false,'useHierarchy':true,"
	"   'checkBeforeUpdate':true},"
	"  'cpu':{'shares':1024,'quota':-1,'burst':1,'period':100000,'realtimeRuntime':950000,"
	"   'realtimePeriod':1000000,'cpus':'2-3','mems':'0-7','idle':1},"
	"  'pids':{'limit':-1},"
	"  'blockIO':{'weight':10,'leafWeight':65535,"
	"   'weightDevice':[{'major':8,'minor':0,'weight':500,'leafWeight':300}],"
	"   'throttleReadBpsDevice':[{'major':8,'minor':0,'rate':600}],"
	"   'throttleWriteBpsDevice':[{'major':8,'minor':1,'rate':601}],"
	"   'throttleReadIOPSDevice':[{'major':8,'minor':2,'rate':602}],"
	"   'throttleWriteIOPSDevice':[{'major':8,'minor':3,'rate':18446744073709551615}]},"
	"  'hugepageLimits':[{'pageSize':'2MB','limit':209715200}],"
	"  'network':{'classID':1048577,'priorities':[{'name':'eth0','priority':500}]},"
	"  'rdma':{'mlx5_1':{'hcaHandles':3,'hcaObjects':10000},'rxe3':{'hcaObjects':1}},"
	"  'unified':{'memory.high':'max','io.max':'259:0 rbps=2097152'}},"
	" 'rootfsPropagation':'slave',"
	" 'seccomp':{'defaultAction':'SCMP_ACT_ERRNO','defaultErrnoRet':38,"
	"  'architectures':['SCMP_ARCH_X86_64'],'flags':['SECCOMP_FILTER_FLAG_LOG'],"
	"  'listenerPath':'/run/s.sock','listenerMetadata':'opaque',"
	"  'syscalls':[{'names':['read','write'],'action':'SCMP_ACT_ALLOW','errnoRet':1,"
	"   'args':[{'index':5,'value':18446744073709551615,'valueTwo':2,"
	"    'op':'SCMP_CMP_MASKED_EQ'}]}]},"
	" 'sysctl':{'net.ipv4.ip_forward':'1','kernel.core_pattern':''},"
	" 'maskedPaths':['/proc/kcore'],'readonlyPaths':['/proc/sys'],"
	" 'mountLabel':'system_u:object_r:y',"
	" 'personality':{'domain':'LINUX32','flags':['NONE']},"
	" 'intelRdt':{'closID':'guaranteed','l3CacheSchema':'L3:0=7f0','memBwSchema':'MB:0=20',"
	"  'enableCMT':true,'enableMBM':true}}}";
/* clang-format on */

#endif /* TEST_SPEC_TEXT_H */
