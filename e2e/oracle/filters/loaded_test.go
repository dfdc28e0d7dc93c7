//go:build cgo && seccomp

package filters

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"callgate.dev/callgate/e2e/oracle/ask"
	"callgate.dev/callgate/e2e/oracle/bpf"
	"callgate.dev/callgate/e2e/oracle/seed"
	"golang.org/x/sys/unix"
)

// A kernel has processes that load programs and make calls: one of x86-64, one of i386.
type kernel map[string]*ask.Process

func startKernel(t *testing.T) kernel {
	t.Helper()
	all := kernel{}
	for arch, goarch := range map[string]string{"SCMP_ARCH_X86_64": "amd64", "SCMP_ARCH_X86": "386"} {
		path := filepath.Join(t.TempDir(), goarch)
		build := exec.Command("go", "build", "-o", path, "../bpf/worker")
		build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH="+goarch)
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if err := exec.Command(path).Run(); err != nil {
			t.Logf("this kernel runs no programs of %s: %v", arch, err)
			continue
		}
		all[arch] = &ask.Process{Path: path, Env: []string{"BPF_WORKER=1", "GODEBUG=asyncpreemptoff=1"}}
		t.Cleanup(all[arch].Stop)
	}
	// Programs of x32 are those of x86-64 to the kernel.
	all["SCMP_ARCH_X32"] = all["SCMP_ARCH_X86_64"]
	return all
}

// load makes calls of one architecture under a program. The second result is false if the process has ended meanwhile.
func (it kernel) load(t *testing.T, how bpf.How, program [][4]uint32, calls []call) ([]uint32, bool) {
	t.Helper()
	asked := bpf.Question{Load: how}
	for _, it := range program {
		asked.Program = append(asked.Program, it)
	}
	for _, call := range calls {
		number, known := number(call.Arch, call.Name)
		if !known {
			t.Fatalf("there is no %s on %s", call.Name, call.Arch)
		}
		asked.Data = append(asked.Data, bpf.Data{Number: number, Arch: tokens[call.Arch].audit, Args: call.Args})
	}
	process := it[calls[0].Arch]
	defer process.Stop()
	var answered bpf.Answer
	answers, err := process.Ask(asked, &answered)
	if err != nil && strings.Contains(err.Error(), "has ended") {
		return nil, false
	}
	if err != nil || !answers || answered.Invalid != "" {
		t.Fatalf("%+v\n%d instructions: %v %v %s", calls, len(program), answers, err, answered.Invalid)
	}
	return answered.Returns, true
}

// program is what runc makes of a profile, and loads.
func (it *pair) program(t *testing.T, profile string) [][4]uint32 {
	t.Helper()
	var theirs answer
	ended, err := it.runc.Ask(question{Profile: profile}, &theirs)
	if err != nil {
		t.Fatal(err)
	}
	// libseccomp never returns for some.
	if !ended || theirs.Deed != "loads" {
		return nil
	}
	return theirs.Program
}

// TestLoadedFiltersDoWhatCallgateSays loads the programs and makes the calls, of x86-64, x32 and i386. Calls that pass
// are not executed.
func TestLoadedFiltersDoWhatCallgateSays(t *testing.T) {
	dice := generator{seed.Rand(t)}
	pair, kernel := start(t), startKernel(t)
	profiles := defaults(t)
	for range 150 {
		text, err := json.Marshal(dice.profile())
		if err != nil {
			t.Fatal(err)
		}
		profiles = append(profiles, string(text))
	}
	counted := map[string]int{}
	for _, text := range profiles {
		program := pair.program(t, text)
		if program == nil {
			continue
		}
		for _, arch := range []string{"SCMP_ARCH_X86_64", "SCMP_ARCH_X32", "SCMP_ARCH_X86"} {
			if kernel[arch] == nil {
				continue
			}
			pair.compareLoaded(t, kernel, text, program, dice.guarded(text, arch), counted)
		}
	}
	t.Logf("%v", counted)
	for _, kind := range []string{"passes", "fails", "kills the thread", "ends the process"} {
		if counted[kind] < 20 {
			t.Errorf("too few calls: %v", counted)
		}
	}
	if counted["passes"]+counted["fails"] < 3000 {
		t.Errorf("too few calls: %v", counted)
	}
}

func defaults(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../../../src/profile/defaults/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal(err, files)
	}
	var all []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(text))
	}
	return all
}

// guarded are calls that the architecture has, and that are not executed.
func (it generator) guarded(text, arch string) []call {
	var profile profile
	if err := json.Unmarshal([]byte(text), &profile); err != nil {
		panic(err)
	}
	edges := profile.edges()
	names := []string{"mkdir", "close", "socket", "socketcall", "clone", "personality", "openat2"}
	for _, rule := range profile.Syscalls {
		names = append(names, one(it, append(rule.Names, "read")...))
	}
	var calls []call
	for range 40 {
		call := call{Arch: arch, Name: one(it, names...)}
		if _, known := number(arch, call.Name); !known {
			continue
		}
		for at := range 5 {
			call.Args[at] = one(it, edges...)
			if arch != "SCMP_ARCH_X86_64" {
				call.Args[at] &= 1<<32 - 1
			}
		}
		call.Args[5] = bpf.Guard
		calls = append(calls, call)
	}
	return calls
}

func (it *pair) compareLoaded(t *testing.T, kernel kernel, text string, program [][4]uint32, calls []call, counted map[string]int) {
	t.Helper()
	var ours verdict
	if ok, err := it.callgate.Ask(question{Profile: text, Calls: calls}, &ours); err != nil || !ok {
		t.Fatal(err)
	}
	var together []call
	var expected []uint32
	for at, call := range calls {
		if len(ours.Effects[at]) > 1 {
			continue
		}
		effect := ours.Effects[at][0]
		switch effect.Action {
		case "SCMP_ACT_ERRNO":
			counted["fails"]++
			together, expected = append(together, call), append(expected, effect.value())
		case "SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE":
			// By the guard.
			counted["passes"]++
			together, expected = append(together, call), append(expected, 0x50000|uint32(unix.ENOSYS))
		case "SCMP_ACT_KILL_THREAD":
			if counted["kills the thread"] == 200 {
				continue
			}
			counted["kills the thread"]++
			if got, lives := kernel.load(t, bpf.Guarded, program, alone(call)); !lives || !slices.Equal(got, []uint32{0}) {
				t.Errorf("%s\n%+v\ncallgate says that it kills the thread, the kernel %#x, %v", text, call, got, lives)
			}
		case "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_TRAP":
			// Go ends a process that gets SIGSYS, if it is allowed to.
			canEnd := effect.Action == "SCMP_ACT_KILL_PROCESS" || strings.Contains(text, `"defaultAction":"SCMP_ACT_ALLOW"`)
			if !canEnd || counted["ends the process"] == 100 {
				continue
			}
			counted["ends the process"]++
			if got, lives := kernel.load(t, bpf.Guarded, program, alone(call)); lives {
				t.Errorf("%s\n%+v\ncallgate says %s, the kernel %#x", text, call, effect.Action, got)
			}
		}
	}
	if len(together) == 0 {
		return
	}
	got, lives := kernel.load(t, bpf.Guarded, program, together)
	if !lives || !slices.Equal(got, expected) {
		t.Errorf("%s\n%+v\nthe kernel %#x, %v\ncallgate   %#x", text, together, got, lives, expected)
	}
}

func alone(it call) []call { return []call{it} }

// example is the profile of a lint's page.
func example(t *testing.T, lint string) string {
	t.Helper()
	page, err := os.ReadFile("../../../src/profile/lints/" + lint + ".md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(page), "\n```json\n")
	text, _, ends := strings.Cut(text, "\n```")
	if !found || !ends {
		t.Fatal("the page has no example")
	}
	return text
}

// bare makes calls that are executed if they pass, each in a process of its own, and returns what they fail with.
func (it kernel) bare(t *testing.T, program [][4]uint32, calls ...call) []unix.Errno {
	t.Helper()
	var all []unix.Errno
	for _, call := range calls {
		got, lives := it.load(t, bpf.Bare, program, alone(call))
		if !lives || len(got) != 1 {
			t.Fatalf("%+v: %#x, %v", call, got, lives)
		}
		all = append(all, unix.Errno(got[0]&0xffff))
	}
	return all
}

var open = [][4]uint32{{0x06, 0, 0, allow}}

// TestTheKernelIgnoresTheUpperHalf proves open-upper-half: a family that is denied is opened by its lower half.
func TestTheKernelIgnoresTheUpperHalf(t *testing.T) {
	const vsock, unix_, stream = unix.AF_VSOCK, unix.AF_UNIX, unix.SOCK_STREAM
	pair, kernel := start(t), startKernel(t)
	socket := func(family uint64) call {
		return call{"SCMP_ARCH_X86_64", "socket", [6]uint64{family, stream}}
	}
	// Without a filter, for a kernel that lacks one of the families.
	without := kernel.bare(t, open, socket(vsock), socket(unix_))
	if without[1] != 0 {
		t.Fatal("there are no sockets of AF_UNIX: ", without[1])
	}
	page := pair.program(t, example(t, "open-upper-half"))
	got := kernel.bare(t, page, socket(vsock), socket(1<<32|vsock))
	if got[0] != unix.EPERM || got[1] != without[0] {
		t.Errorf("AF_VSOCK: %v, with a one in the upper half %v, without a filter %v", got[0], got[1], without[0])
	}
	but := strings.Replace(example(t, "open-upper-half"), "40", "1", 1)
	got = kernel.bare(t, pair.program(t, but), socket(unix_), socket(1<<32|unix_))
	if got[0] != unix.EPERM || got[1] != 0 {
		t.Errorf("AF_UNIX: %v, with a one in the upper half %v", got[0], got[1])
	}
	masked := `{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["socket"], "action": "SCMP_ACT_ERRNO", "args": [
		{"index": 0, "value": 4294967295, "valueTwo": 1, "op": "SCMP_CMP_MASKED_EQ"}]}]}`
	got = kernel.bare(t, pair.program(t, masked), socket(unix_), socket(1<<32|unix_))
	if got[0] != unix.EPERM || got[1] != unix.EPERM {
		t.Errorf("with a mask: %v, with a one in the upper half %v", got[0], got[1])
	}
}

// TestSocketcallPassesBesideRulesOnSocket proves socketcall: a program of 32 bits opens what socket is denied. The call
// is made with a pointer to nothing, so it fails with EFAULT where the kernel gets it.
func TestSocketcallPassesBesideRulesOnSocket(t *testing.T) {
	pair, kernel := start(t), startKernel(t)
	calls := []call{
		{"SCMP_ARCH_X86", "socket", [6]uint64{unix.AF_INET, unix.SOCK_STREAM}},
		{"SCMP_ARCH_X86", "socketcall", [6]uint64{1, 8}},
	}
	if kernel["SCMP_ARCH_X86"] == nil {
		t.Skip("this kernel runs no programs of 32 bits")
	}
	page := example(t, "socketcall")
	if got := kernel.bare(t, pair.program(t, page), calls...); got[0] != unix.EPERM || got[1] != unix.EFAULT {
		t.Errorf("socket %v, socketcall %v", got[0], got[1])
	}
	// runc takes socket for newer than a profile that names no later call.
	mended := strings.Replace(page, `"syscalls": [`,
		`"syscalls": [ { "names": ["socketcall"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38 },
		{ "names": ["openat2"], "action": "SCMP_ACT_ALLOW" }, `, 1)
	if got := kernel.bare(t, pair.program(t, mended), calls...); got[0] != unix.EPERM || got[1] != unix.ENOSYS {
		t.Errorf("mended: socket %v, socketcall %v", got[0], got[1])
	}
}
