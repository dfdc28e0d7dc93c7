package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// aStaticProgram returns a program that runs on this machine without a loader: this test, which is built without cgo.
func aStaticProgram(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// packed writes the archives into a new folder and returns their prefix.
func packed(t *testing.T) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "callgate")
	labels := labels{"org.opencontainers.image.title": "callgate"}
	err := run(out, "callgate:1.2.3", time.Unix(1e9, 0).UTC(), labels, []string{runtime.GOARCH + "=" + aStaticProgram(t)})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestTheSameBinaryGivesTheSameBytes(t *testing.T) {
	first, second := packed(t), packed(t)
	for _, suffix := range []string{".oci.tar", "-" + runtime.GOARCH + ".docker.tar"} {
		a, err := os.ReadFile(first + suffix)
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(second + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a, b) {
			t.Errorf("%s differs", suffix)
		}
	}
}

func TestTheDockerArchiveHasTheUserTheEntrypointAndNothingElse(t *testing.T) {
	image, err := tarball.ImageFromPath(packed(t)+"-"+runtime.GOARCH+".docker.tar", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(image); err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(config.Config)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"Entrypoint":["/bin/callgate"],"Env":["PATH=/bin"],"Labels":{"org.opencontainers.image.title":"callgate"},` +
		`"User":"60918:60918"}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	layers, err := image.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%d layers, %v", len(layers), err)
	}
	content, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	var names []string
	for reader := tar.NewReader(content); ; {
		header, err := reader.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Uid != 0 || header.Mode&0o022 != 0 {
			t.Errorf("%s: only root may be able to write it", header.Name)
		}
		names = append(names, header.Name)
	}
	if got := strings.Join(names, " "); got != "bin/ bin/callgate etc/ etc/group etc/passwd" {
		t.Errorf("got %s", got)
	}
}

func TestTheLayoutIsValidAndNamesThePlatform(t *testing.T) {
	index, err := readLayout(packed(t)+".oci.tar", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Fatal(err)
	}
	platforms, err := index.IndexManifest()
	if err != nil || len(platforms.Manifests) != 1 {
		t.Fatalf("%v, %v", platforms, err)
	}
	if got := platforms.Manifests[0].Platform.String(); got != "linux/"+runtime.GOARCH {
		t.Errorf("the platform is %s", got)
	}
}

func TestARegistryHasWhatWasPushed(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	reference := strings.TrimPrefix(server.URL, "http://") + "/team/callgate:1.2.3"
	var out bytes.Buffer
	if err := pushTo(reference, packed(t)+".oci.tar", &out); err != nil {
		t.Fatal(err)
	}
	pushed, err := name.NewDigest(strings.TrimSpace(out.String()))
	if err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag(reference)
	if err != nil {
		t.Fatal(err)
	}
	there, err := remote.Index(tag)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(there); err != nil {
		t.Fatal(err)
	}
	if digest, err := there.Digest(); err != nil || digest.String() != pushed.DigestStr() {
		t.Errorf("%v, %v, but %s was printed", digest, err, pushed)
	}
}

func TestWhatCannotBePushedIsAnError(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.tar")
	if err := os.WriteFile(empty, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, it := range []struct{ reference, file, want string }{
		{"localhost:1/callgate:1.2.3", empty, "no such file or directory"},
		{"callgate", empty, `"callgate" is not REGISTRY/NAME:TAG`},
		{"localhost:1/callgate:1.2.3", packed(t) + ".oci.tar", "connection refused"},
	} {
		err := pushTo(it.reference, it.file, io.Discard)
		if err == nil || !strings.Contains(err.Error(), it.want) {
			t.Errorf("%s: got %v, want %s", it.reference, err, it.want)
		}
	}
}

func TestWhatCannotRunInAnImageIsAnError(t *testing.T) {
	script := filepath.Join(t.TempDir(), "callgate")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nexec /bin/true\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	other := map[string]string{"amd64": "arm64", "arm64": "amd64"}[runtime.GOARCH]
	for _, it := range []struct{ argument, want string }{
		{runtime.GOARCH + "=/bin/bash", "is not static: there is no loader in the image"},
		{other + "=" + aStaticProgram(t), ", not for " + other},
		{"mips=" + aStaticProgram(t), `unknown architecture "mips": amd64 or arm64`},
		{runtime.GOARCH + "=" + script, "bad magic number"},
		{runtime.GOARCH + "=/nonexistent", "no such file or directory"},
		{"/bin/bash", `"/bin/bash" is not ARCHITECTURE=BINARY`},
	} {
		err := run(filepath.Join(t.TempDir(), "callgate"), "callgate:1.2.3", time.Unix(0, 0), nil, []string{it.argument})
		if err == nil || !strings.Contains(err.Error(), it.want) {
			t.Errorf("%s: got %v, want %s", it.argument, err, it.want)
		}
	}
}
