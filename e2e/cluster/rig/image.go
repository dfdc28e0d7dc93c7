package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// image writes to out a docker-archive of one static binary: /bin/BINARY, which is also what
// a container runs unless the environment variable COMMAND names another command,
// and a link to it by every other name.
func image(out, tag, binary string, names []string) error {
	if err := static(binary); err != nil {
		return err
	}
	content, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	entry := filepath.Base(binary)
	layer := newArchive()
	for _, folder := range []string{"bin", "dev", "etc", "proc", "sys"} {
		layer.add(tar.Header{Name: folder, Typeflag: tar.TypeDir, Mode: 0o755}, nil)
	}
	layer.add(tar.Header{Name: "tmp", Typeflag: tar.TypeDir, Mode: 0o1777}, nil)
	layer.add(tar.Header{Name: "bin/" + entry, Mode: 0o755}, content)
	for _, name := range names {
		if name == entry {
			continue // a link to itself would take the binary's place
		}
		layer.add(tar.Header{Name: "bin/" + name, Typeflag: tar.TypeSymlink, Linkname: entry}, nil)
	}
	command := strings.Fields(os.Getenv("COMMAND"))
	if len(command) == 0 {
		command = []string{entry}
	}
	type object = map[string]any
	files := layer.close()
	config := encoded(object{
		"architecture": runtime.GOARCH,
		"os":           "linux",
		"config":       object{"Env": []string{"PATH=/bin"}, "Cmd": command},
		"rootfs":       object{"type": "layers", "diff_ids": []string{"sha256:" + digest(files)}},
	})
	whole := newArchive()
	whole.add(tar.Header{Name: digest(config) + ".json", Mode: 0o644}, config)
	whole.add(tar.Header{Name: "layer.tar", Mode: 0o644}, files)
	whole.add(tar.Header{Name: "manifest.json", Mode: 0o644}, encoded([]object{{
		"Config": digest(config) + ".json", "RepoTags": []string{tag}, "Layers": []string{"layer.tar"},
	}}))
	return os.WriteFile(out, whole.close(), 0o644)
}

// static refuses a binary that would not start in an image of its own, for want of a loader.
func static(binary string) error {
	program, err := elf.Open(binary)
	if err != nil {
		return fmt.Errorf("%s: %w", binary, err)
	}
	defer program.Close()
	for _, part := range program.Progs {
		if part.Type == elf.PT_INTERP {
			return fmt.Errorf("%s is not static", binary)
		}
	}
	return nil
}

// archive is a tar in memory, where writing cannot fail.
type archive struct {
	buffer *bytes.Buffer
	writer *tar.Writer
}

func newArchive() archive {
	buffer := new(bytes.Buffer)
	return archive{buffer, tar.NewWriter(buffer)}
}

func (a archive) add(header tar.Header, content []byte) {
	header.Size = int64(len(content))
	must(a.writer.WriteHeader(&header))
	_, err := a.writer.Write(content)
	must(err)
}

func (a archive) close() []byte {
	must(a.writer.Close())
	return a.buffer.Bytes()
}

func encoded(value any) []byte {
	text, err := json.Marshal(value)
	must(err)
	return text
}

func digest(content []byte) string {
	return fmt.Sprintf("%x", sha256.Sum256(content))
}

// must panics on an error that only a mistake in this file can cause.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
