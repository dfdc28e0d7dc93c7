package oracle

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
	"github.com/xeipuuv/gojsonschema"
)

// The findings on all examples, as SARIF, fit the schema of OASIS.
func TestSARIFFitsItsSchema(t *testing.T) {
	file := filepath.Join(t.TempDir(), "report.sarif")
	program := []string{"cargo", "run", "--quiet", "--locked", "--bin", "callgate", "--"}
	if it := os.Getenv("CALLGATE_PROGRAM"); it != "" {
		program = []string{it}
	}
	words := append(program[1:], "check", "../../examples", "--fail-on", "never", "--output", "sarif="+file)
	command := exec.Command(program[0], words...)
	if said, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	read, err := sarif.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	if found := len(read.Runs[0].Results); found < 10 {
		t.Errorf("only %d results", found)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	fits := func(text string) *gojsonschema.Result {
		result, err := gojsonschema.Validate(
			gojsonschema.NewStringLoader(schema(t)), gojsonschema.NewStringLoader(text))
		if err != nil {
			t.Fatal(err)
		}
		return result
	}
	for _, it := range fits(string(text)).Errors() {
		t.Error(it)
	}
	if fits(strings.Replace(string(text), `"ruleId"`, `"rule"`, 1)).Valid() {
		t.Error("a result with a field that SARIF does not have fits too")
	}
}

// schema is the one that the module has, which it does not export.
func schema(t *testing.T) string {
	t.Helper()
	list := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/owenrumney/go-sarif/v3")
	directory, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(strings.TrimSpace(string(directory)), "pkg/report/v210/sarif/schema.go")
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var text string
	ast.Inspect(file, func(node ast.Node) bool {
		if it, ok := node.(*ast.BasicLit); ok && it.Kind == token.STRING && len(it.Value) > len(text) {
			text = it.Value
		}
		return true
	})
	text, err = strconv.Unquote(text)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
