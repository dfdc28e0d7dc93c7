package oracle

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"

	"callgate.dev/callgate/e2e/oracle/seed"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// A document as callgate reads it: a value, or why it is none.
type document struct {
	Value   any
	Mistake string
}

// What callgate reads is what kubectl reads; or callgate says that it cannot read it.
func TestYAMLIsReadAsKubectlReadsIt(t *testing.T) {
	ask := documents(t)
	random := seed.Rand(t)
	var same, refused, sterner int
	judge := func(text string) {
		ours, theirs := ask(text), kubectl(text)
		if len(ours) != len(theirs) {
			// After a mistake kubectl reads on in its own way.
			if !has(ours) && !has(theirs) {
				t.Errorf("%q: callgate reads %d documents, kubectl %d", text, len(ours), len(theirs))
			}
			return
		}
		for at, it := range ours {
			if _, isText := it.Value.(string); isText {
				continue // no object
			}
			switch their := theirs[at]; {
			case it.Mistake != "" && their.Mistake != "":
				refused++
			case it.Mistake != "":
				sterner++
			case their.Mistake != "":
				if !isLenient(their.Mistake) {
					t.Errorf("%q: kubectl says %q, callgate reads %v", text, their.Mistake, it.Value)
				}
			case !reflect.DeepEqual(it.Value, their.Value):
				t.Errorf("%q: callgate reads %#v, kubectl %#v", text, it.Value, their.Value)
			default:
				same++
			}
		}
	}
	for range 20000 {
		scalar := scalar(random)
		judge("a: " + scalar)
		judge("a: " + tags[random.IntN(len(tags))] + scalar)
		judge(scalar + ": x")
	}
	for range 20000 {
		judge(stream(random))
	}
	t.Logf("%d documents are equal, %d are refused by both, %d by callgate alone", same, refused, sterner)
	if same < 50000 || sterner*10 > same {
		t.Errorf("%d documents are equal, and %d are refused by callgate alone", same, sterner)
	}
}

// What kubectl refuses and callgate reads, since the parsers have different limits.
func isLenient(why string) bool {
	for _, it := range []string{
		"found character that cannot start any token", // a tab behind a dash
		"found a tab character where an indentation space is expected",
		"did not find expected node content",                    // a word in brackets that begins with a colon
		"did not find expected alphabetic or numeric character", // a bracket behind an anchor
		"did not find expected whitespace or line break",        // "!}"
	} {
		if strings.Contains(why, it) {
			return true
		}
	}
	return false
}

func has(all []document) bool {
	for _, it := range all {
		if it.Mistake != "" {
			return true
		}
	}
	return false
}

// kubectl reads as k8s.io/cli-runtime does (StreamVisitor): documents split at "---", each by
// sigs.k8s.io/yaml; unlike there, the next ones are read after a mistake.
func kubectl(text string) []document {
	var all []document
	reader := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(text)))
	for {
		part, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			return append(all, document{Mistake: err.Error()})
		}
		read, err := yaml.YAMLToJSON(part)
		if err != nil {
			all = append(all, document{Mistake: err.Error()})
			continue
		}
		var value any
		if err := json.Unmarshal(read, &value); err != nil {
			all = append(all, document{Mistake: err.Error()})
		} else if value != nil {
			all = append(all, document{Value: value})
		}
	}
}

// documents starts callgate's reader.
func documents(t *testing.T) func(string) []document {
	t.Helper()
	program := os.Getenv("CALLGATE_DOCUMENTS")
	command := exec.Command("cargo", "run", "--quiet", "--locked", "--example", "documents")
	if program != "" {
		command = exec.Command(program)
	}
	command.Stderr = os.Stderr
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := command.Wait(); err != nil {
			t.Error(err)
		}
	})
	lines := bufio.NewReader(out)
	return func(text string) []document {
		question, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := in.Write(append(question, '\n')); err != nil {
			t.Fatal(err)
		}
		line, err := lines.ReadBytes('\n')
		if err != nil {
			t.Fatal(err)
		}
		var all []document
		if err := json.Unmarshal(line, &all); err != nil {
			t.Fatal(err)
		}
		return all
	}
}

var tags = []string{"", "!!int ", "!!float ", "!!bool ", "!!null ", "!!str ", "! ", "!x ", "!!binary "}

var words = []string{
	"y", "Y", "yes", "Yes", "YES", "yEs", "true", "True", "TRUE", "on", "On", "ON", "n", "N", "no",
	"No", "NO", "false", "False", "FALSE", "off", "Off", "OFF", "~", "null", "Null", "NULL", "nULL",
	".nan", ".NaN", ".inf", "-.inf", "+.inf", "<<", "2001-01-01", "2001-1-1 1:2:3", "1:30", "0x", "0b",
	"0o", "0", "00", "-0", "+0", "-", "+", ".", "-.", "1.", ".1", "1e5", "1E5", "9223372036854775807",
	"9223372036854775808", "18446744073709551615", "18446744073709551616", "-9223372036854775808",
	"-9223372036854775809", "1e308", "1e309", "a b", "'it''s'", "\"\\u00e4\\x41\\n\"", "''", "\"\"",
	"0x1p3", "Infinity", "nan", "1_000", "0777", "0888", "a#b", "a:b", "=", "`", "@a", "%a", "&a x",
}

func scalar(random *rand.Rand) string {
	if random.IntN(2) == 0 {
		return words[random.IntN(len(words))]
	}
	const letters = "0123456789000111.__eE+-xXoObB:"
	var text strings.Builder
	for range 1 + random.IntN(8) {
		text.WriteByte(letters[random.IntN(len(letters))])
	}
	return text.String()
}

// stream writes documents in all styles, and damages some of them.
func stream(random *rand.Rand) string {
	var text bytes.Buffer
	for range 1 + random.IntN(3) {
		if random.IntN(4) > 0 {
			text.WriteString("---\n")
		}
		if random.IntN(4) == 0 {
			text.WriteString("# a comment\n")
		}
		anchors := 0
		mapping(random, &text, 0, 3, &anchors)
	}
	written := text.Bytes()
	if random.IntN(3) == 0 && len(written) > 0 {
		const marks = "-:{}[],&*!|>'\"#%@` \n\tax"
		for range 1 + random.IntN(2) {
			at := random.IntN(len(written))
			switch random.IntN(3) {
			case 0:
				written[at] = marks[random.IntN(len(marks))]
			case 1:
				written = append(written[:at], written[at+1:]...)
			default:
				written = append(written[:at], append([]byte{marks[random.IntN(len(marks))]}, written[at:]...)...)
			}
			if len(written) == 0 {
				break
			}
		}
	}
	return string(written)
}

func mapping(random *rand.Rand, text *bytes.Buffer, indent, depth int, anchors *int) {
	for range 1 + random.IntN(4) {
		fmt.Fprintf(text, "%s%s:", strings.Repeat(" ", indent), key(random))
		value(random, text, indent, depth, anchors)
	}
	if *anchors > 0 && random.IntN(6) == 0 {
		fmt.Fprintf(text, "%s<<: *a%d\n", strings.Repeat(" ", indent), random.IntN(*anchors))
	}
}

func key(random *rand.Rand) string {
	keys := []string{"a", "b", "c", "name", "\"q\"", "'s'", "1", "on", "x-y", "a.b/c"}
	return keys[random.IntN(len(keys))]
}

// value writes what follows a colon, and ends the line.
func value(random *rand.Rand, text *bytes.Buffer, indent, depth int, anchors *int) {
	anchor := ""
	begins := random.IntN(5) == 0
	if begins {
		anchor = fmt.Sprintf(" &a%d", *anchors)
	}
	kind := random.IntN(10)
	if depth == 0 && kind > 5 {
		kind = random.IntN(6)
	}
	pad := strings.Repeat(" ", indent)
	switch kind {
	case 0, 1, 2:
		fmt.Fprintf(text, "%s %s\n", anchor, scalar(random))
	case 3:
		header := []string{"|", "|-", "|+", ">", ">-", ">+", "|2"}[random.IntN(7)]
		fmt.Fprintf(text, "%s %s\n%s  one\n%s   two\n\n%s  three # no comment\n", anchor, header, pad, pad, pad)
	case 4:
		fmt.Fprintf(text, "%s [%s, {k: %s}, 'x, y'] # flow\n", anchor, flow(random), flow(random))
	case 5:
		if *anchors > 0 && !begins {
			fmt.Fprintf(text, " *a%d\n", random.IntN(*anchors))
			return
		}
		fmt.Fprintf(text, "%s\n", anchor)
	case 6, 7:
		fmt.Fprintf(text, "%s\n", anchor)
		mapping(random, text, indent+1+random.IntN(3), depth-1, anchors)
	default:
		fmt.Fprintf(text, "%s\n", anchor)
		deeper := indent + random.IntN(3)
		for range 1 + random.IntN(3) {
			fmt.Fprintf(text, "%s-", strings.Repeat(" ", deeper))
			if random.IntN(2) == 0 {
				fmt.Fprintf(text, " %s\n", scalar(random))
			} else {
				fmt.Fprintf(text, " k: v\n")
				mapping(random, text, deeper+2, depth-1, anchors)
			}
		}
	}
	if begins {
		*anchors++
	}
}

func flow(random *rand.Rand) string {
	return []string{"1", "yes", "\"a\"", "x y", "~", "-1.5"}[random.IntN(6)]
}
