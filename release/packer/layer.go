package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// The users of the manifests: `callgate serve` runs as the first, the agent as the second. No other image should use them.
const (
	user   = "60918:60918"
	passwd = "callgate:x:60918:60918:callgate serve:/:/bin/false\n" +
		"callgate-agent:x:60917:60917:callgate agent:/:/bin/false\n"
	group = "callgate:x:60918:\ncallgate-agent:x:60917:\n"
)

// machines has the architectures of images, and what the header of a binary calls them.
var machines = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}

// runsIn checks that an image with nothing but this binary can run on the architecture.
func runsIn(binary, architecture string) error {
	machine, known := machines[architecture]
	if !known {
		return fmt.Errorf("unknown architecture %q: amd64 or arm64", architecture)
	}
	program, err := elf.Open(binary)
	if err != nil {
		return err
	}
	defer program.Close()
	if program.Machine != machine {
		return fmt.Errorf("is for %v, not for %s", program.Machine, architecture)
	}
	for _, part := range program.Progs {
		if part.Type == elf.PT_INTERP {
			return errors.New("is not static: there is no loader in the image")
		}
	}
	return nil
}

// layerOf returns the only layer: the binary and the names of the users.
func layerOf(binary string, modified time.Time) (v1.Layer, error) {
	content, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	var buffer bytes.Buffer
	writer := tar.NewWriter(&buffer)
	for _, it := range []struct {
		header  tar.Header
		content []byte
	}{
		{tar.Header{Name: "bin/", Typeflag: tar.TypeDir, Mode: 0o755}, nil},
		{tar.Header{Name: "bin/callgate", Mode: 0o755}, content},
		{tar.Header{Name: "etc/", Typeflag: tar.TypeDir, Mode: 0o755}, nil},
		{tar.Header{Name: "etc/group", Mode: 0o644}, []byte(group)},
		{tar.Header{Name: "etc/passwd", Mode: 0o644}, []byte(passwd)},
	} {
		it.header.ModTime = modified
		it.header.Size = int64(len(it.content))
		if err := writer.WriteHeader(&it.header); err != nil {
			return nil, err
		}
		if _, err := writer.Write(it.content); err != nil {
			return nil, err
		}
	}
	if err := writer.Close(); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(
		func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(buffer.Bytes())), nil },
		tarball.WithCompressionLevel(gzip.BestCompression),
		tarball.WithMediaType(types.OCILayer),
	)
}
