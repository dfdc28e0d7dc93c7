// Compares the verdicts on the profiles in tests/profiles.yaml with Go and runc.
package oracle

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runc/libcontainer/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
	"go.yaml.in/yaml/v3"
)

type profile struct {
	Name   string
	Text   string
	Base64 string
	Go     string
	Broken string
}

func TestGoReadsEveryProfileAsTheTableSays(t *testing.T) {
	table, err := os.ReadFile("../../tests/profiles.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var profiles []profile
	if err := yaml.Unmarshal(table, &profiles); err != nil {
		t.Fatal(err)
	}
	if len(profiles) == 0 {
		t.Fatal("the table is empty")
	}
	for _, it := range profiles {
		t.Run(it.Name, func(t *testing.T) {
			file := []byte(it.Text)
			if it.Base64 != "" {
				if file, err = base64.StdEncoding.DecodeString(it.Base64); err != nil {
					t.Fatal(err)
				}
			}
			actual, why := read(file)
			if actual != it.Go {
				t.Errorf("expected %s, but Go %s: %v", it.Go, actual, why)
			}
			var syntax *json.SyntaxError
			if words, found := strings.CutPrefix(it.Broken, "it is not JSON: "); found {
				words, _, _ = strings.Cut(words, " at line ")
				if !errors.As(why, &syntax) || syntax.Error() != words {
					t.Errorf("expected %q, but Go says %q", words, why)
				}
			} else if errors.As(why, &syntax) {
				t.Errorf("Go says %q", why)
			}
		})
	}
}

// read decodes as containerd does (contrib/seccomp, loadProfile) and converts as
// runc does (libcontainer/specconv, SetupSeccomp, which needs cgo, as does all
// that comes after it).
func read(file []byte) (string, error) {
	var it specs.LinuxSeccomp
	if err := json.Unmarshal(file, &it); err != nil {
		return "refuses", err
	}
	if it.DefaultAction == "" && len(it.Syscalls) == 0 {
		return "disables", nil
	}
	if err := convert(&it); err != nil {
		return "refuses", err
	}
	return "loads", nil
}

func convert(it *specs.LinuxSeccomp) error {
	for _, flag := range it.Flags {
		if !slices.Contains(seccomp.KnownFlags(), string(flag)) {
			return fmt.Errorf("flag %s is not known", flag)
		}
	}
	for _, arch := range it.Architectures {
		if _, err := seccomp.ConvertStringToArch(string(arch)); err != nil {
			return err
		}
	}
	if _, err := seccomp.ConvertStringToAction(string(it.DefaultAction)); err != nil {
		return err
	}
	for _, call := range it.Syscalls {
		if _, err := seccomp.ConvertStringToAction(string(call.Action)); err != nil {
			return err
		}
		for range call.Names {
			for _, arg := range call.Args {
				if _, err := seccomp.ConvertStringToOperator(string(arg.Op)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
