// Package ask talks to a process that answers one line of JSON for each line.
package ask

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// A Process is started by the first question, and once more after it has been stopped.
type Process struct {
	Path    string
	Env     []string
	command *exec.Cmd
	in      io.WriteCloser
	lines   chan []byte
	words   *bytes.Buffer
}

// Example is an example of callgate, by its name in Cargo.toml. The environment can name another file.
func Example(name, variable string) *Process {
	path := os.Getenv(variable)
	if path == "" {
		path = "../../../target/debug/examples/" + name
	}
	return &Process{Path: path}
}

// Ask reports whether there was an answer in time. The limit is far above what
// any profile takes that ends at all, also on a machine that is busy.
func (it *Process) Ask(question, answer any) (bool, error) {
	const limit = 20 * time.Second
	if it.command == nil {
		if err := it.begin(); err != nil {
			return false, err
		}
	}
	text, err := json.Marshal(question)
	if err != nil {
		return false, err
	}
	if _, err := it.in.Write(append(text, '\n')); err != nil {
		return false, err
	}
	select {
	case line, open := <-it.lines:
		if !open {
			it.command.Wait()
			return false, fmt.Errorf("%s has ended: %s", it.Path, it.words)
		}
		return true, json.Unmarshal(line, answer)
	case <-time.After(limit):
		it.Stop()
		return false, nil
	}
}

func (it *Process) begin() error {
	command := exec.Command(it.Path)
	command.Env = append(os.Environ(), it.Env...)
	// runc warns of much.
	it.words = new(bytes.Buffer)
	command.Stderr = it.words
	in, err := command.StdinPipe()
	if err != nil {
		return err
	}
	out, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	lines := make(chan []byte)
	go func() {
		defer close(lines)
		reader := bufio.NewReader(out)
		for {
			line, err := reader.ReadBytes('\n')
			if err != nil {
				return
			}
			lines <- line
		}
	}()
	it.command, it.in, it.lines = command, in, lines
	return nil
}

// Stop ends the process, if it runs.
func (it *Process) Stop() {
	if it.command != nil {
		it.command.Process.Kill()
		it.command.Wait()
		it.command = nil
	}
}

// Serve answers one question a line.
func Serve[Question, Answer any](in io.Reader, out io.Writer, answer func(Question) Answer) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		var asked Question
		if err := json.Unmarshal(line, &asked); err != nil {
			return err
		}
		text, err := json.Marshal(answer(asked))
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(out, "%s\n", text); err != nil {
			return err
		}
	}
}
