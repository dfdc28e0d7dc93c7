//go:build cgo && seccomp

package filters

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"

	"callgate.dev/callgate/e2e/oracle/ask"
	"github.com/opencontainers/runc/libcontainer/seccomp"
	"github.com/opencontainers/runc/libcontainer/specconv"
	"github.com/opencontainers/runtime-spec/specs-go"
	libseccomp "github.com/seccomp/libseccomp-golang"
	"golang.org/x/net/bpf"
)

// A question is a profile, and calls whose results to compute.
type question struct {
	Profile string `json:"profile"`
	Calls   []call `json:"calls"`
}

// An answer is the result of runc.
type answer struct {
	// loads, refuses or disables
	Deed string `json:"deed"`
	Why  string `json:"why,omitempty"`
	// What the program returns for each call; nothing for one that does not exist there.
	Returns []*uint32 `json:"returns,omitempty"`
	// The program: code, two jumps and value of each instruction.
	Program [][4]uint32 `json:"program,omitempty"`
}

const (
	allow  = 0x7fff0000
	notify = 0x7fc00000
)

// work answers one question a line, as runc does it when it starts a container.
func work(in io.Reader, out io.Writer) error {
	runtime.LockOSThread()
	trap, err := setTrap()
	if err != nil {
		return err
	}
	return ask.Serve(in, out, func(asked question) answer {
		defer runtime.GC()
		return trap.answer(asked)
	})
}

func (it *trap) answer(asked question) answer {
	refuses := func(err error) answer { return answer{Deed: "refuses", Why: err.Error()} }
	var profile specs.LinuxSeccomp
	if err := json.Unmarshal([]byte(asked.Profile), &profile); err != nil {
		return refuses(err)
	}
	config, err := specconv.SetupSeccomp(&profile)
	if err != nil {
		return refuses(err)
	}
	if config == nil {
		return answer{Deed: "disables"}
	}
	listener, err := seccomp.InitSeccomp(config)
	if err != nil {
		return refuses(err)
	}
	// What the parent of the container's process reports (libcontainer/process_linux.go).
	if listener != -1 && config.ListenerPath == "" {
		return refuses(fmt.Errorf("seccomp listenerPath is not set"))
	}
	raw := <-it.program
	program, ok := bpf.Disassemble(raw)
	if !ok {
		return refuses(fmt.Errorf("the program cannot be read"))
	}
	machine, err := bpf.NewVM(program)
	if err != nil {
		return refuses(err)
	}
	var exported [][4]uint32
	for _, it := range raw {
		exported = append(exported, [4]uint32{uint32(it.Op), uint32(it.Jt), uint32(it.Jf), it.K})
	}
	returns := make([]*uint32, len(asked.Calls))
	for at, call := range asked.Calls {
		data, ok := call.data()
		if !ok {
			continue
		}
		value, err := machine.Run(data)
		if err != nil {
			return refuses(err)
		}
		result := uint32(value)
		returns[at] = &result
	}
	return answer{Deed: "loads", Returns: returns, Program: exported}
}

// The values of linux/audit.h, and what a call's number has besides.
var tokens = map[string]struct {
	arch  libseccomp.ScmpArch
	audit uint32
}{
	"SCMP_ARCH_X86":         {libseccomp.ArchX86, 0x40000003},
	"SCMP_ARCH_X86_64":      {libseccomp.ArchAMD64, 0xc000003e},
	"SCMP_ARCH_X32":         {libseccomp.ArchX32, 0xc000003e},
	"SCMP_ARCH_ARM":         {libseccomp.ArchARM, 0x40000028},
	"SCMP_ARCH_AARCH64":     {libseccomp.ArchARM64, 0xc00000b7},
	"SCMP_ARCH_PPC64":       {libseccomp.ArchPPC64, 0x80000015},
	"SCMP_ARCH_PPC64LE":     {libseccomp.ArchPPC64LE, 0xc0000015},
	"SCMP_ARCH_RISCV64":     {libseccomp.ArchRISCV64, 0xc00000f3},
	"SCMP_ARCH_S390X":       {libseccomp.ArchS390X, 0x80000016},
	"SCMP_ARCH_LOONGARCH64": {libseccomp.ArchLOONGARCH64, 0xc0000102},
}

// number is that of a call of its own: libseccomp gives others a negative one.
func number(arch, name string) (uint32, bool) {
	token, known := tokens[arch]
	if !known {
		return 0, false
	}
	number, err := libseccomp.GetSyscallFromNameByArch(name, token.arch)
	if err == nil && number < 0 {
		// Some have one besides.
		direct, found := directs[arch][name]
		return direct, found
	}
	return uint32(number), err == nil
}

// Calls of sockets that are made through socketcall, or directly.
var directs = map[string]map[string]uint32{
	"SCMP_ARCH_X86": {"socket": 359, "bind": 361, "connect": 362, "accept4": 364, "sendto": 369, "shmat": 397},
}

// data is a struct seccomp_data, with each word in the order in which the
// virtual machine reads it.
func (it call) data() ([]byte, bool) {
	number, known := number(it.Arch, it.Name)
	if !known {
		return nil, false
	}
	data := make([]byte, 64)
	binary.BigEndian.PutUint32(data[0:], number)
	binary.BigEndian.PutUint32(data[4:], tokens[it.Arch].audit)
	for at, value := range it.Args {
		binary.BigEndian.PutUint32(data[16+8*at:], uint32(value))
		binary.BigEndian.PutUint32(data[20+8*at:], uint32(value>>32))
	}
	return data, true
}

func workIfAsked() {
	if os.Getenv("FILTERS_WORKER") == "" {
		return
	}
	if err := work(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}
