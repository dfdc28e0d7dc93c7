package filters

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
)

type generator struct{ *rand.Rand }

// Write writes profiles, one a line, which depend on the seed alone.
func Write(to io.Writer, seed uint64, profiles int) error {
	dice := generator{rand.New(rand.NewPCG(seed, 0))}
	out := json.NewEncoder(to)
	for range profiles {
		if err := out.Encode(dice.profile()); err != nil {
			return err
		}
	}
	return nil
}

type call struct {
	// SCMP_ARCH_…
	Arch string    `json:"arch"`
	Name string    `json:"name"`
	Args [6]uint64 `json:"args"`
}

type rule struct {
	Names    []string    `json:"names"`
	Action   string      `json:"action"`
	ErrnoRet *uint64     `json:"errnoRet,omitempty"`
	Args     []condition `json:"args,omitempty"`
}

type condition struct {
	Index    uint64 `json:"index"`
	Value    uint64 `json:"value"`
	ValueTwo uint64 `json:"valueTwo"`
	Op       string `json:"op"`
}

type profile struct {
	DefaultAction   string   `json:"defaultAction"`
	DefaultErrnoRet *uint64  `json:"defaultErrnoRet,omitempty"`
	Architectures   []string `json:"architectures,omitempty"`
	ListenerPath    string   `json:"listenerPath,omitempty"`
	Flags           []string `json:"flags,omitempty"`
	Syscalls        []rule   `json:"syscalls"`
}

func one[T any](it generator, of ...T) T { return of[it.IntN(len(of))] }

func (it generator) chance(percent int) bool { return it.IntN(100) < percent }

// profile makes one in which rules interfere with each other: few calls, few
// values, a default that mostly allows.
func (it generator) profile() profile {
	profile := profile{DefaultAction: one(it, "SCMP_ACT_ALLOW", "SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_ERRNO",
		"SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_TRAP", "SCMP_ACT_TRACE")}
	profile.DefaultErrnoRet = it.errno()
	if it.chance(40) {
		all := []string{"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM",
			"SCMP_ARCH_RISCV64", "SCMP_ARCH_PPC64LE"}
		if it.chance(8) {
			all = append(all, "SCMP_ARCH_S390X", "SCMP_ARCH_PPC64")
		}
		it.Shuffle(len(all), func(a, b int) { all[a], all[b] = all[b], all[a] })
		profile.Architectures = all[:1+it.IntN(4)]
	}
	if it.chance(10) {
		profile.ListenerPath = "/run/agent.sock"
	}
	if it.chance(15) {
		profile.Flags = one(it, []string{}, []string{"SECCOMP_FILTER_FLAG_LOG"}, []string{"SECCOMP_FILTER_FLAG_TSYNC"})
	}
	// What overlaps with everything says little about what overlaps with nothing.
	tangle := it.chance(25)
	for range it.IntN(6) {
		profile.Syscalls = append(profile.Syscalls, it.rule(tangle))
	}
	if it.chance(10) {
		// Of more than 32 calls runc has a binary tree made.
		profile.Syscalls = append(profile.Syscalls, rule{Names: many, Action: one(it, "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO")})
	}
	return profile
}

func (it generator) errno() *uint64 {
	if it.chance(80) {
		return nil
	}
	errno := one[uint64](it, 0, 1, 38, 38, 4094, 4095, 4096, 65535, 65536+38, 1<<32)
	return &errno
}

func (it generator) rule(tangle bool) rule {
	rule := rule{Action: one(it, "SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_ERRNO", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL",
		"SCMP_ACT_KILL_THREAD", "SCMP_ACT_TRAP", "SCMP_ACT_TRACE")}
	if it.chance(2) {
		rule.Action = "SCMP_ACT_NOTIFY"
	}
	if it.chance(25) {
		rule.ErrnoRet = it.errno()
	}
	for range 1 + it.IntN(3) {
		rule.Names = append(rule.Names, it.name())
	}
	if it.chance(45) {
		return rule
	}
	if !tangle {
		// Equalities, or one condition.
		if it.chance(50) {
			rule.Args = []condition{it.condition(one(it, all...), false)}
			return rule
		}
		for range 1 + it.IntN(3) {
			rule.Args = append(rule.Args, it.condition(one(it, "EQ", "EQ", "MASKED_EQ"), it.chance(30)))
		}
		return rule
	}
	for range 1 + it.IntN(3) {
		rule.Args = append(rule.Args, it.condition(one(it, all...), it.chance(30)))
	}
	return rule
}

var many = strings.Fields(`access alarm brk capget capset chdir chmod chown close creat dup dup2 eventfd exit fchdir
	fchmod fchown fcntl fork fstat fsync getcwd getegid geteuid getgid getpid getppid getuid ioctl kill link lseek
	lstat mmap mprotect munmap nanosleep pause pipe poll`)

var all = []string{"NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"}

func (it generator) condition(op string, large bool) condition {
	values := []uint64{0, 1, 2, 3, 5, 40}
	if large {
		values = []uint64{0, 1, 5, 1 << 32, 1<<32 + 1, 1<<32 + 5, 2<<32 + 1, 1<<64 - 1}
	}
	condition := condition{Index: uint64(it.IntN(3)), Value: one(it, values...), Op: "SCMP_CMP_" + op}
	if op == "MASKED_EQ" {
		condition.ValueTwo = one(it, values...)
	}
	return condition
}

func (it generator) name() string {
	if it.chance(4) {
		return one(it, "mkdri", "sys_mount", "MKDIR")
	}
	return one(it, "mkdir", "mkdir", "socket", "socket", "socket", "shmget", "open", "openat", "clone", "execve",
		"personality", "socketcall", "ipc", "stat64", "arm_fadvise64_64", "s390_pci_mmio_read", "bind", "read")
}

// calls are those to compare: of every name and architecture of the profile,
// with arguments on both sides of where its conditions begin to hold.
func (it generator) calls(profile profile) []call {
	archs := append([]string{"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_AARCH64"}, profile.Architectures...)
	edges := profile.edges()
	var calls []call
	for _, rule := range profile.Syscalls {
		for _, name := range rule.Names {
			for range 8 {
				// The first argument of socketcall and ipc selects the call.
				call := call{Arch: one(it, archs...), Name: one(it, name, name, name, "socketcall", "ipc", "getpid")}
				for at := range call.Args {
					call.Args[at] = one(it, edges...)
				}
				calls = append(calls, call)
			}
			for range 4 {
				call := call{Arch: "SCMP_ARCH_X86_64", Name: name}
				for at := range call.Args {
					call.Args[at] = one(it, edges...)
				}
				for _, condition := range rule.Args {
					call.Args[condition.Index] = it.meeting(condition)
				}
				calls = append(calls, call)
			}
		}
	}
	for _, name := range []string{"mkdir", "close", "getpid", "execve", "openat2", "futex_waitv"} {
		calls = append(calls, call{Arch: one(it, archs...), Name: name}, call{Arch: "SCMP_ARCH_X86_64", Name: name})
	}
	return calls
}

// edges are values on both sides of where a condition begins to hold.
func (it profile) edges() []uint64 {
	edges := []uint64{0, 1 << 32, 7, 1<<64 - 1}
	for _, rule := range it.Syscalls {
		for _, condition := range rule.Args {
			of := condition.Value
			if condition.Op == "SCMP_CMP_MASKED_EQ" {
				of = condition.ValueTwo
			}
			edges = append(edges, of-1, of, of+1, of^1<<32)
		}
	}
	return edges
}

// meeting is a value that meets a condition, if any does.
func (it generator) meeting(condition condition) uint64 {
	of := condition.Value
	switch strings.TrimPrefix(condition.Op, "SCMP_CMP_") {
	case "NE":
		return one(it, of+1, of-1, of^1<<32)
	case "LT":
		return one(it, of-1, 0)
	case "LE":
		return one(it, of, 0)
	case "EQ":
		return of
	case "GE":
		return one(it, of, 1<<64-1)
	case "GT":
		return one(it, of+1, 1<<64-1)
	case "MASKED_EQ":
		return one(it, condition.ValueTwo, condition.ValueTwo|^of)
	}
	panic(fmt.Sprintf("%q", condition.Op))
}
