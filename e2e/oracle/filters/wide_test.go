//go:build cgo && seccomp

package filters

import (
	"encoding/json"
	"testing"

	"callgate.dev/callgate/e2e/oracle/seed"
	libseccomp "github.com/seccomp/libseccomp-golang"
)

// TestLibseccompJoinsWideConditionsWrongly counts how many sets of rules are compiled otherwise than they are written
// (wide-or): rules of one inequality each, one of which is enough, and calls on both sides of every bound.
func TestLibseccompJoinsWideConditionsWrongly(t *testing.T) {
	dice := generator{seed.Rand(t)}
	pair := start(t)
	const sets = 500
	wrong := map[bool]int{}
	for _, wide := range []bool{true, false} {
		for range sets {
			it := dice.inequalities(wide)
			text, err := json.Marshal(it)
			if err != nil {
				t.Fatal(err)
			}
			edges := it.edges()
			var calls []call
			for range 40 {
				call := call{Arch: "SCMP_ARCH_X86_64", Name: "mmap"}
				for at := range 3 {
					call.Args[at] = one(dice, edges...)
				}
				calls = append(calls, call)
			}
			var theirs answer
			if ended, err := pair.runc.Ask(question{Profile: string(text), Calls: calls}, &theirs); err != nil || !ended || theirs.Deed != "loads" {
				continue
			}
			for at, call := range calls {
				if (*theirs.Returns[at] == allow) != it.allows(call) {
					wrong[wide]++
					break
				}
			}
		}
	}
	major, minor, micro := libseccomp.GetLibraryVersion()
	t.Logf("libseccomp %d.%d.%d: of %d sets, %d with wide values are wrong, %d with small ones", major, minor, micro, sets,
		wrong[true], wrong[false])
	isMended := major > 2 || major == 2 && (minor > 6 || minor == 6 && micro >= 1)
	if wrong[false] > 0 || isMended != (wrong[true] == 0) {
		t.Error("wide-or.md says something else")
	}
}

func (it generator) inequalities(wide bool) profile {
	profile := profile{DefaultAction: "SCMP_ACT_ERRNO"}
	for range 2 + it.IntN(3) {
		args := []condition{it.condition(one(it, "NE", "LT", "LE", "GE", "GT"), wide)}
		profile.Syscalls = append(profile.Syscalls, rule{Names: []string{"mmap"}, Action: "SCMP_ACT_ALLOW", Args: args})
	}
	return profile
}

// allows reports whether one of the rules does, as they are written.
func (it profile) allows(call call) bool {
	for _, rule := range it.Syscalls {
		condition := rule.Args[0]
		value, bound := call.Args[condition.Index], condition.Value
		if map[string]bool{
			"SCMP_CMP_NE": value != bound,
			"SCMP_CMP_LT": value < bound,
			"SCMP_CMP_LE": value <= bound,
			"SCMP_CMP_GE": value >= bound,
			"SCMP_CMP_GT": value > bound,
		}[condition.Op] {
			return true
		}
	}
	return false
}
