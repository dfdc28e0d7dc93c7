//go:build cgo && seccomp

// Package filters compares callgate with runc and libseccomp: whether a container
// starts under a profile, and what the generated program returns for a call.
//
// runc itself makes the program, as for a container, and hands it to the
// kernel; a trap takes it instead. Each profile runs in a worker process, because
// libseccomp never returns for some.
package filters

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"callgate.dev/callgate/e2e/oracle/ask"
	"callgate.dev/callgate/e2e/oracle/seed"
	libseccomp "github.com/seccomp/libseccomp-golang"
	"go.yaml.in/yaml/v3"
)

func TestMain(m *testing.M) {
	workIfAsked()
	os.Exit(m.Run())
}

// A verdict is callgate's verdict on a profile (e2e/oracle/verdicts.rs).
type verdict struct {
	Problem   string
	Words     string
	Undecided bool
	Effects   [][]effect
}

type effect struct {
	Action string
	Code   uint16
}

func (it *effect) UnmarshalJSON(text []byte) error {
	return json.Unmarshal(text, &[]any{&it.Action, &it.Code})
}

// value is what a program returns for it.
func (it effect) value() uint32 {
	code := uint32(it.Code)
	return map[string]uint32{
		"SCMP_ACT_KILL":         0,
		"SCMP_ACT_KILL_THREAD":  0,
		"SCMP_ACT_KILL_PROCESS": 0x80000000,
		"SCMP_ACT_TRAP":         0x30000,
		"SCMP_ACT_ERRNO":        0x50000 | code,
		"SCMP_ACT_TRACE":        0x7ff00000 | code,
		"SCMP_ACT_NOTIFY":       notify,
		"SCMP_ACT_LOG":          0x7ffc0000,
		"SCMP_ACT_ALLOW":        allow,
	}[it.Action]
}

func passes(value uint32) bool { return value == allow || value == 0x7ffc0000 }

// TestCallsHaveTheNumbersThatLibseccompKnows compares our table.
func TestCallsHaveTheNumbersThatLibseccompKnows(t *testing.T) {
	columns := []string{"SCMP_ARCH_X86", "SCMP_ARCH_X86_64", "SCMP_ARCH_ARM", "SCMP_ARCH_AARCH64", "SCMP_ARCH_PPC64LE",
		"SCMP_ARCH_RISCV64", "SCMP_ARCH_S390X"}
	table, err := os.ReadFile("../../../src/profile/syscalls.txt")
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for line := range strings.Lines(string(table)) {
		words := strings.Fields(line)
		for at, arch := range columns {
			theirs, err := libseccomp.GetSyscallFromNameByArch(words[0], tokens[arch].arch)
			ours, none := strconv.Atoi(words[1+at])
			switch {
			case err != nil || theirs <= -10000:
				// None there; ours may be newer.
			case theirs < 0:
				// Made through another call, whether directly or not.
			case none != nil || int(theirs) != ours:
				t.Errorf("%s on %s is %d, not %s", words[0], arch, theirs, words[1+at])
			default:
				compared++
			}
		}
	}
	if compared < 2000 {
		t.Errorf("only %d numbers were compared", compared)
	}
}

type tableCase struct {
	Name   string
	Text   string
	Base64 string
	Sound  bool
	Hollow string
	Broken string
	// Why a profile that runc accepts counts as broken.
	Stricter string
}

func TestEveryProfileOfTheTableIsWhatRuncMakesOfIt(t *testing.T) {
	text, err := os.ReadFile("../../../tests/profiles.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var table []tableCase
	if err := yaml.Unmarshal(text, &table); err != nil {
		t.Fatal(err)
	}
	pair := start(t)
	for _, it := range table {
		file := []byte(it.Text)
		if it.Base64 != "" {
			if file, err = base64.StdEncoding.DecodeString(it.Base64); err != nil {
				t.Fatal(err)
			}
		}
		if it.Stricter != "" {
			continue
		}
		pair.compare(t, it.Name, question{Profile: string(file), Calls: everyCall(file)})
	}
}

func TestEveryProfileOfALintIsWhatRuncMakesOfIt(t *testing.T) {
	files, err := filepath.Glob("../../../tests/lints/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(err, files)
	}
	pair := start(t)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var table []tableCase
		if err := yaml.Unmarshal(text, &table); err != nil {
			t.Fatal(err)
		}
		for _, it := range table {
			pair.compare(t, filepath.Base(file)+": "+it.Name, question{Profile: it.Text, Calls: everyCall([]byte(it.Text))})
		}
	}
}

func TestEveryDefaultProfileIsWhatRuncMakesOfIt(t *testing.T) {
	files, err := filepath.Glob("../../../src/profile/defaults/*.json")
	if err != nil || len(files) < 10 {
		t.Fatal(err, files)
	}
	pair := start(t)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		pair.compare(t, filepath.Base(file), question{Profile: string(text), Calls: everyCall(text)})
	}
	if pair.counted.loaded != len(files) || pair.counted.open > 0 {
		t.Errorf("%+v", pair.counted)
	}
}

// everyCall is one of each call that this machine has, without arguments, and
// more of those that the profile names.
func everyCall(text []byte) []call {
	var calls []call
	table, err := os.ReadFile("../../../src/profile/syscalls.txt")
	if err != nil {
		panic(err)
	}
	for line := range strings.Lines(string(table)) {
		name := strings.Fields(line)[0]
		calls = append(calls, call{Arch: "SCMP_ARCH_X86_64", Name: name}, call{Arch: "SCMP_ARCH_X32", Name: name})
	}
	var profile profile
	// What cannot be read has no names.
	_ = json.Unmarshal(text, &profile)
	for _, rule := range profile.Syscalls {
		for _, name := range rule.Names {
			for _, arch := range []string{"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_AARCH64"} {
				for _, value := range append(seq(42), 255) {
					calls = append(calls, call{arch, name, [6]uint64{value, value, 1, 1, 1, 1}},
						call{arch, name, [6]uint64{value, 1, 1, 1, 1, 1}})
				}
			}
		}
	}
	return calls
}

func seq(to uint64) []uint64 {
	var all []uint64
	for it := range to {
		all = append(all, it)
	}
	return all
}

// TestACallThatIsCompiledWronglyCanChangeAnother has rules for socket that
// libseccomp 2.5.4 compiles otherwise than they are written, and for read two of
// the same conditions: read then gets code of socket, and its thread is killed
// where the default action should kill the process.
func TestACallThatIsCompiledWronglyCanChangeAnother(t *testing.T) {
	pair := start(t)
	profile := `{"defaultAction": "SCMP_ACT_KILL_PROCESS", "syscalls": [
		{"names": ["socket"], "action": "SCMP_ACT_KILL_THREAD", "args": [
			{"index": 0, "value": 4294967297, "op": "SCMP_CMP_LE"}]},
		{"names": ["socket", "read"], "action": "SCMP_ACT_KILL_THREAD", "args": [
			{"index": 0, "value": 5, "op": "SCMP_CMP_GT"},
			{"index": 0, "value": 40, "op": "SCMP_CMP_EQ"}]}]}`
	pair.compare(t, "read beside socket", question{Profile: profile, Calls: []call{
		{"SCMP_ARCH_X86_64", "read", [6]uint64{4}},
		{"SCMP_ARCH_X86_64", "read", [6]uint64{6}},
		{"SCMP_ARCH_X86_64", "read", [6]uint64{40}},
	}})
	if pair.counted.open != 3 {
		t.Errorf("callgate is certain of what it cannot know: %+v", pair.counted)
	}
}

// TestAMissingCallCanLoseTheRulesOfX32 has a rule for stat64, which neither x86-64
// nor x32 has, and one for socket that compares the upper half of an argument
// alone: the program does not find the rule for execve.
func TestAMissingCallCanLoseTheRulesOfX32(t *testing.T) {
	pair := start(t)
	profile := `{"defaultAction": "SCMP_ACT_TRACE", "architectures": ["SCMP_ARCH_X32"], "syscalls": [
		{"names": ["stat64"], "action": "SCMP_ACT_KILL"},
		{"names": ["execve"], "action": "SCMP_ACT_KILL", "args": [
			{"index": 1, "value": 0, "op": "SCMP_CMP_NE"}]},
		{"names": ["socket"], "action": "SCMP_ACT_ERRNO", "args": [
			{"index": 2, "value": 4294967296, "valueTwo": 5, "op": "SCMP_CMP_MASKED_EQ"}]}]}`
	pair.compare(t, "execve on x86-64", question{Profile: profile, Calls: []call{
		{"SCMP_ARCH_X86_64", "execve", [6]uint64{39, 4, 4294967296}},
	}})
	if pair.counted.open != 1 {
		t.Errorf("callgate is certain of what it cannot know: %+v", pair.counted)
	}
}

// TestARuleWithTheLastConditionOfAnotherHidesIt has rules for socketcall on x86, of
// which the second, that for bind, has the last condition of the first besides its
// own: libseccomp leaves it out, so it does not conflict with the third.
func TestARuleWithTheLastConditionOfAnotherHidesIt(t *testing.T) {
	const hides, hidden = `{"names": ["socketcall"], "action": "SCMP_ACT_TRACE", "args": [
			{"index": 2, "value": 2, "op": "SCMP_CMP_EQ"}]}`, `{"names": ["bind"], "action": "SCMP_ACT_TRAP", "args": [
			{"index": 2, "value": 2, "op": "SCMP_CMP_EQ"}]}`
	for _, order := range []string{hides + "," + hidden, hidden + "," + hides} {
		profile := `{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86"], "syscalls": [` +
			order + `, {"names": ["bind"], "action": "SCMP_ACT_LOG"}]}`
		start(t).compare(t, profile, question{Profile: profile, Calls: []call{
			{"SCMP_ARCH_X86", "socketcall", [6]uint64{2, 0, 2}},
			{"SCMP_ARCH_X86", "socketcall", [6]uint64{2, 0, 3}},
			{"SCMP_ARCH_X86", "socketcall", [6]uint64{1, 0, 2}},
		}})
	}
}

func TestGeneratedProfilesAreWhatRuncMakesOfThem(t *testing.T) {
	profiles := 2000
	if word := os.Getenv("CALLGATE_PROFILES"); word != "" {
		var err error
		if profiles, err = strconv.Atoi(word); err != nil {
			t.Fatal(err)
		}
	}
	dice := generator{seed.Rand(t)}
	pair := start(t)
	for at := range profiles {
		it := dice.profile()
		text, err := json.Marshal(it)
		if err != nil {
			t.Fatal(err)
		}
		pair.compare(t, fmt.Sprintf("%d: %s", at, text), question{Profile: string(text), Calls: dice.calls(it)})
	}
	counted := pair.counted
	t.Logf("%+v", counted)
	if counted.loaded < profiles/2 || counted.refused < profiles/20 || counted.hollow < profiles/20 ||
		counted.certain < profiles*10 || counted.interpreted < profiles*20 || counted.tangled+counted.endless > profiles/100 {
		t.Error("that is not enough, or too much, of something")
	}
}

// A pair is runc and callgate, which get the same questions.
type pair struct {
	runc, callgate, programs *ask.Process
	counted                  counted
}

type counted struct {
	// Profiles.
	loaded, refused, hollow, undecided int
	// Rejected or never finished by libseccomp for conditions that overlap.
	tangled, endless int
	// With names that this libseccomp is too old for.
	newer int
	// Calls.
	certain, open int
	// By our interpreter as well.
	interpreted int
}

func start(t *testing.T) *pair {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	runc := &ask.Process{Path: self, Env: []string{"FILTERS_WORKER=1", "GODEBUG=asyncpreemptoff=1", "GOMAXPROCS=4"}}
	it := &pair{runc: runc, callgate: ask.Example("verdicts", "CALLGATE_VERDICTS"),
		programs: ask.Example("programs", "CALLGATE_PROGRAMS")}
	t.Cleanup(func() {
		it.runc.Stop()
		it.callgate.Stop()
		it.programs.Stop()
	})
	return it
}

func (it *pair) compare(t *testing.T, name string, asked question) {
	t.Helper()
	var theirs answer
	var ours verdict
	ended, err := it.runc.Ask(asked, &theirs)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if ok, err := it.callgate.Ask(asked, &ours); err != nil || !ok {
		t.Fatalf("%s: %v (cargo build --examples makes it)", name, err)
	}
	isHollow := ours.Problem == "hollow"
	isBroken := ours.Problem != "" && !isHollow
	switch {
	case !ended:
		it.counted.endless++
		if !tangled(asked.Profile) {
			t.Errorf("%s\nlibseccomp does not come back", name)
		}
		return
	case theirs.Deed == "refuses":
		it.counted.refused++
		if isBroken {
			return
		}
		if isNewer(theirs.Why) {
			it.counted.newer++
			return
		}
		it.counted.tangled++
		if !strings.Contains(theirs.Why, "rule for syscall") || !tangled(asked.Profile) {
			t.Errorf("%s\nrunc refuses it: %s\nours: %q", name, theirs.Why, ours.Words)
		}
		return
	case isBroken:
		t.Errorf("%s\nrunc loads it\nours: %q", name, ours.Words)
		return
	case theirs.Deed == "disables":
		if !isHollow {
			t.Errorf("%s\nrunc switches seccomp off\nours: %q", name, ours.Words)
		}
		return
	}
	it.counted.loaded++
	it.interpret(t, name, asked, theirs)
	stops := false
	for at, value := range theirs.Returns {
		if value == nil {
			continue
		}
		stops = stops || asked.Calls[at].Arch == "SCMP_ARCH_X86_64" && !passes(*value)
		effects := ours.Effects[at]
		if len(effects) == 1 {
			it.counted.certain++
		} else {
			it.counted.open++
		}
		if !slices.ContainsFunc(effects, func(it effect) bool { return it.value() == *value }) {
			t.Errorf("%s\n%+v\nthe program returns %#x\nours: %v", name, asked.Calls[at], *value, effects)
			return
		}
	}
	switch {
	case ours.Undecided:
		it.counted.undecided++
	case isHollow && stops:
		t.Errorf("%s\nthe program stops something\nours: %q", name, ours.Words)
	case !isHollow && !stops && namesNewer(asked.Profile):
		it.counted.newer++
	case !isHollow && !stops:
		// It may stop few.
		asked.Calls = manyCalls(asked.Profile)
		if ended, err := it.runc.Ask(asked, &theirs); err != nil || !ended {
			t.Fatalf("%s: %v", name, err)
		}
		stopped := func(it *uint32) bool { return it != nil && !passes(*it) }
		if !slices.ContainsFunc(theirs.Returns, stopped) {
			t.Errorf("%s\nthe program stops none of the calls, and we call it sound", name)
		}
	case isHollow:
		it.counted.hollow++
	}
}

// interpret compares what callgate's interpreter of the generated program returns.
func (it *pair) interpret(t *testing.T, name string, asked question, theirs answer) {
	t.Helper()
	type data struct {
		Number uint32    `json:"number"`
		Arch   uint32    `json:"arch"`
		Args   [6]uint64 `json:"args"`
	}
	var all []data
	var expected []uint32
	for at, value := range theirs.Returns {
		if value != nil {
			call := asked.Calls[at]
			number, _ := number(call.Arch, call.Name)
			all, expected = append(all, data{number, tokens[call.Arch].audit, call.Args}), append(expected, *value)
		}
	}
	var ours struct {
		Invalid string
		Returns []uint32
	}
	ok, err := it.programs.Ask(map[string]any{"program": theirs.Program, "data": all}, &ours)
	if err != nil || !ok {
		t.Fatalf("%s: %v (cargo build --examples makes it)", name, err)
	}
	if ours.Invalid != "" || !slices.Equal(ours.Returns, expected) {
		t.Errorf("%s\n%v\nthe program returns %#x\nin ours %#x %s", name, all, expected, ours.Returns, ours.Invalid)
	}
	it.counted.interpreted += len(expected)
}

// manyCalls are calls of every name, with arguments on all edges of all
// conditions.
func manyCalls(text string) []call {
	var profile profile
	// What cannot be read has no names.
	_ = json.Unmarshal([]byte(text), &profile)
	dice := generator{rand.New(rand.NewPCG(1, 1))}
	edges := profile.edges()
	var calls []call
	for _, rule := range profile.Syscalls {
		for _, name := range rule.Names {
			for range 2000 {
				call := call{Arch: "SCMP_ARCH_X86_64", Name: name}
				for at := range call.Args {
					call.Args[at] = one(dice, edges...)
				}
				calls = append(calls, call)
			}
		}
	}
	return calls
}

// isNewer reports whether runc rejects what another libseccomp accepts.
func isNewer(why string) bool {
	return strings.Contains(why, "is not supported on this version of the library") ||
		strings.Contains(why, "requires libseccomp >=")
}

// namesNewer reports whether a profile names calls that this libseccomp is too old
// for: runc skips them.
func namesNewer(text string) bool {
	var profile profile
	if json.Unmarshal([]byte(text), &profile) != nil {
		return false
	}
	table, err := os.ReadFile("../../../src/profile/syscalls.txt")
	if err != nil {
		panic(err)
	}
	for _, rule := range profile.Syscalls {
		for _, name := range rule.Names {
			_, err := libseccomp.GetSyscallFromName(name)
			if err != nil && strings.Contains("\n"+string(table), "\n"+name+" ") {
				return true
			}
		}
	}
	return false
}

// tangled reports whether two rules for one call have conditions that libseccomp
// may take for the same ones or lead into a circle: several on different
// arguments, with an inequality among them, or for calls that have another one
// in common (SECURITY.md).
func tangled(text string) bool {
	var profile profile
	if json.Unmarshal([]byte(text), &profile) != nil {
		return false
	}
	conditional, knotted := map[string]int{}, map[string]bool{}
	for _, rule := range profile.Syscalls {
		if len(rule.Args) == 0 {
			continue
		}
		for _, name := range rule.Names {
			conditions := len(rule.Args)
			// On some architectures one call is for several.
			if shared, found := multiplexed[name]; found {
				name = shared
				conditions++
				knotted[name] = true
			}
			conditional[name]++
			for _, condition := range rule.Args {
				if condition.Op != "SCMP_CMP_EQ" && condition.Op != "SCMP_CMP_MASKED_EQ" {
					knotted[name] = knotted[name] || conditions > 1 || condition.Value >= 1<<32
				}
			}
		}
	}
	for name := range knotted {
		if knotted[name] && conditional[name] > 1 {
			return true
		}
	}
	return false
}

// Of the calls that are generated.
var multiplexed = map[string]string{"socket": "socketcall", "bind": "socketcall", "shmget": "ipc"}
