package oracle

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"callgate.dev/callgate/e2e/oracle/seed"
	"github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
	"go.yaml.in/yaml/v3"
	"golang.org/x/sys/unix"
)

// A container without added capabilities.
var powerless = &specs.Spec{Process: &specs.Process{Capabilities: &specs.LinuxCapabilities{}}}

type wrapping struct {
	Name string
	Text string
	Arch string
	// Why Docker's result differs.
	Ours      string
	Spec      map[string]any
	Undecided map[string]string
}

func TestDockerMakesOfEveryFileWhatTheTableSays(t *testing.T) {
	table, err := os.ReadFile("../../tests/wrap.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var wrappings []wrapping
	if err := yaml.Unmarshal(table, &wrappings); err != nil {
		t.Fatal(err)
	}
	if len(wrappings) == 0 {
		t.Fatal("the table is empty")
	}
	for _, it := range wrappings {
		elsewhere := it.Arch != "" && it.Arch != runtime.GOARCH
		if it.Ours != "" || it.Undecided != nil || elsewhere {
			continue
		}
		t.Run(it.Name, func(t *testing.T) {
			theirs, err := seccomp.LoadProfile(it.Text, powerless)
			if it.Spec == nil {
				if err == nil {
					t.Errorf("Docker takes it: %+v", theirs)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(it.Spec)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, theirs, text)
		})
	}
}

func TestDockersDefaultProfileIsWrappedAsDockerResolvesIt(t *testing.T) {
	text, err := json.Marshal(seccomp.DefaultProfile())
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := seccomp.GetDefaultProfile(powerless)
	if err != nil {
		t.Fatal(err)
	}
	ours, words, err := wrap(t, text)
	if err != nil {
		t.Fatalf("%v\n%s", err, words)
	}
	compare(t, theirs, ours)
}

func TestGeneratedProfilesAreWrappedAsDockerResolvesThem(t *testing.T) {
	const cases = 400
	dice := generator{seed.Rand(t)}
	compared, refused := 0, 0
	for range cases {
		text, err := json.Marshal(dice.profile())
		if err != nil {
			t.Fatal(err)
		}
		theirs, why := seccomp.LoadProfile(string(text), powerless)
		ours, words, err := wrap(t, text)
		switch {
		case why == nil && err == nil:
			compare(t, theirs, ours)
			compared++
		case why == nil:
			// Docker leaves much to runc, the linter does not.
			if !strings.Contains(words, ": error: ") {
				t.Errorf("%v, without a reason\n%s\n%s", err, text, words)
			}
		case err == nil:
			t.Errorf("Docker refuses it: %v\n%s", why, text)
		default:
			refused++
		}
		if t.Failed() {
			t.Fatalf("%s", text)
		}
	}
	t.Logf("%d compared, %d refused by both", compared, refused)
	if compared < cases/4 || refused < cases/40 {
		t.Errorf("only %d were compared and %d refused by both", compared, refused)
	}
}

// wrap runs callgate for a node like this machine, and returns the spec that it
// prints and its messages.
func wrap(t *testing.T, text []byte) ([]byte, string, error) {
	t.Helper()
	binary := os.Getenv("CALLGATE")
	if binary == "" {
		binary = "../../target/debug/callgate"
	}
	var uname unix.Utsname
	if err := unix.Uname(&uname); err != nil {
		t.Fatal(err)
	}
	release := unix.ByteSliceToString(uname.Release[:])
	command := exec.Command(binary, "profile", "wrap", "-", "--name", "it", "--output", "json",
		"--arch", runtime.GOARCH, "--kernel", release)
	command.Stdin = strings.NewReader(string(text))
	var words strings.Builder
	command.Stderr = &words
	printed, err := command.Output()
	if exit := new(exec.ExitError); err != nil {
		if e, ok := err.(*exec.ExitError); ok {
			exit = e
		}
		if exit.ExitCode() != 1 || len(printed) > 0 {
			t.Fatalf("%v, %q was printed (cargo build makes the binary)\n%s", err, printed, words.String())
		}
		return nil, words.String(), err
	}
	var object struct{ Spec json.RawMessage }
	if err := json.Unmarshal(printed, &object); err != nil {
		t.Fatal(err)
	}
	return object.Spec, words.String(), nil
}

// compare reads the spec of an object as a node would have it.
func compare(t *testing.T, theirs *specs.LinuxSeccomp, spec []byte) {
	t.Helper()
	var tree any
	decoder := json.NewDecoder(strings.NewReader(string(spec)))
	decoder.UseNumber()
	if err := decoder.Decode(&tree); err != nil {
		t.Fatal(err)
	}
	file, err := json.Marshal(numbers(tree))
	if err != nil {
		t.Fatal(err)
	}
	var ours specs.LinuxSeccomp
	if err := json.Unmarshal(file, &ours); err != nil {
		t.Fatal(err)
	}
	if ours, theirs := plain(&ours), plain(theirs); ours != theirs {
		t.Errorf("ours\n%s\nDocker's\n%s", ours, theirs)
	}
}

// numbers converts the strings that the API server needs for large numbers.
func numbers(tree any) any {
	switch it := tree.(type) {
	case []any:
		for at := range it {
			it[at] = numbers(it[at])
		}
	case map[string]any:
		for key, value := range it {
			if text, ok := value.(string); ok && (key == "value" || key == "valueTwo") {
				it[key] = json.Number(text)
			} else {
				it[key] = numbers(value)
			}
		}
	}
	return tree
}

// plain is a profile without parts that have no effect: rules without names, and
// duplicates in a set.
func plain(it *specs.LinuxSeccomp) string {
	it.Syscalls = slices.DeleteFunc(it.Syscalls, func(it specs.LinuxSyscall) bool { return len(it.Names) == 0 })
	it.Architectures = set(it.Architectures)
	it.Flags = set(it.Flags)
	text, err := json.MarshalIndent(it, "", " ")
	if err != nil {
		panic(err)
	}
	return string(text)
}

func set[T comparable](list []T) []T {
	var set []T
	for _, it := range list {
		if !slices.Contains(set, it) {
			set = append(set, it)
		}
	}
	return set
}

type generator struct{ *rand.Rand }

func (it generator) some(most int, one func() any) []any {
	list := make([]any, it.IntN(most+1))
	for at := range list {
		list[at] = one()
	}
	return list
}

func (it generator) word(words ...string) any {
	return words[it.IntN(len(words))]
}

func (it generator) profile() map[string]any {
	profile := map[string]any{
		it.key("defaultAction"): it.word("SCMP_ACT_ALLOW", "SCMP_ACT_ALLOW", "SCMP_ACT_LOG"),
		it.key("syscalls"):      append(it.some(5, it.rule), it.certain()),
	}
	if it.IntN(2) == 0 {
		profile[it.key("archMap")] = it.some(4, it.entry)
	} else if it.IntN(2) == 0 {
		profile["architectures"] = it.some(3, it.architecture)
	}
	if it.IntN(20) == 0 {
		profile["architectures"] = []any{it.architecture()}
	}
	if it.IntN(4) == 0 {
		profile["flags"] = it.some(2, func() any {
			return it.word("SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW")
		})
	}
	return profile
}

// key is written otherwise now and then, which Go does not mind.
func (it generator) key(name string) string {
	if it.IntN(10) == 0 {
		return strings.ToUpper(name)
	}
	return name
}

func (it generator) architecture() any {
	return it.word("SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM")
}

func (it generator) entry() any {
	entry := map[string]any{it.key("architecture"): it.architecture()}
	if it.IntN(4) > 0 {
		entry[it.key("subArchitectures")] = it.some(3, it.architecture)
	}
	return entry
}

func (it generator) call() any {
	return it.word("mkdir", "mkdirat", "chroot", "mount", "bpf", "swapon", "rmdir", "umount2")
}

// certain is a rule that denies something in any case.
func (it generator) certain() any {
	return map[string]any{"names": []any{"reboot"}, "action": "SCMP_ACT_ERRNO"}
}

func (it generator) rule() any {
	rule := map[string]any{
		it.key("action"): it.word("SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_TRAP", "SCMP_ACT_ALLOW"),
		"comment":        "none",
	}
	if it.IntN(3) == 0 {
		rule[it.key("name")] = it.call()
		if it.IntN(10) == 0 {
			rule["names"] = it.some(1, it.call)
		}
	} else {
		rule[it.key("names")] = it.some(3, it.call)
	}
	if rule["action"] == "SCMP_ACT_ERRNO" && it.IntN(2) == 0 {
		rule["errnoRet"] = it.IntN(200)
	}
	if it.IntN(4) == 0 {
		rule["args"] = []any{it.condition()}
	}
	for _, key := range []string{"includes", "excludes"} {
		switch it.IntN(4) {
		case 0:
			rule[it.key(key)] = it.filter()
		case 1:
			rule[key] = []any{nil, map[string]any{}}[it.IntN(2)]
		}
	}
	return rule
}

func (it generator) condition() any {
	number := func() uint64 { return it.Uint64() >> it.IntN(64) }
	condition := map[string]any{"index": it.IntN(6), "value": number(), "op": it.word("SCMP_CMP_EQ", "SCMP_CMP_NE")}
	if it.IntN(2) == 0 {
		condition["op"], condition["valueTwo"] = "SCMP_CMP_MASKED_EQ", number()
	}
	return condition
}

func (it generator) filter() any {
	filter := map[string]any{}
	if it.IntN(3) == 0 {
		filter[it.key("caps")] = it.some(2, func() any { return it.word("CAP_SYS_ADMIN", "CAP_BPF") })
	}
	if it.IntN(2) == 0 {
		filter[it.key("arches")] = it.some(3, func() any { return it.word("amd64", "arm64", "x86", "x32", "s390x", "arm") })
	}
	if it.IntN(3) == 0 {
		version := strconv.Itoa(it.IntN(12)) + "." + strconv.Itoa(it.IntN(30))
		filter[it.key("minKernel")] = it.word(version, version, version, "", "5", "5.x", "256.1", "0.0")
	}
	return filter
}
