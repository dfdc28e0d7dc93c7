// Command packer packs static binaries into a container image, without Docker: /bin/callgate, and the names of its users.
//
// It writes OUT.oci.tar, an OCI image layout with one image for each platform, and for each platform
// OUT-ARCHITECTURE.docker.tar, for `docker load`, `ctr images import` and `kind load image-archive`. The same binaries and
// flags give the same bytes.
//
// With -push it sends the image in such an OUT.oci.tar to a registry, and prints its NAME@DIGEST.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// labels collects the flag -label KEY=VALUE.
type labels map[string]string

func (l labels) String() string { return "" }

func (l labels) Set(pair string) error {
	key, value, found := strings.Cut(pair, "=")
	if !found {
		return fmt.Errorf("%q is not KEY=VALUE", pair)
	}
	l[key] = value
	return nil
}

func main() {
	labels := labels{}
	out := flag.String("out", "", "the `PREFIX` of the files to write")
	reference := flag.String("name", "", "the `NAME:TAG` of the image in the archives")
	created := flag.Int64("created", 0, "the time of creation, in `SECONDS` since 1970")
	push := flag.String("push", "", "push the image in an archive to the registry as `NAME:TAG`")
	flag.Var(labels, "label", "a label of the image, `KEY=VALUE`; may be repeated")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "packer -out PREFIX -name NAME:TAG [FLAGS] ARCHITECTURE=BINARY...\n"+
			"packer -push NAME:TAG OUT.oci.tar")
		flag.PrintDefaults()
	}
	flag.Parse()
	var err error
	switch {
	case *push != "" && flag.NArg() == 1:
		err = pushTo(*push, flag.Arg(0), os.Stdout)
	case *out != "" && *reference != "" && flag.NArg() > 0:
		err = run(*out, *reference, time.Unix(*created, 0).UTC(), labels, flag.Args())
	default:
		flag.Usage()
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "packer: %v\n", err)
		os.Exit(1)
	}
}

func run(out, reference string, created time.Time, labels labels, binaries []string) error {
	tag, err := name.NewTag(reference)
	if err != nil {
		return err
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, it := range binaries {
		architecture, binary, found := strings.Cut(it, "=")
		if !found {
			return fmt.Errorf("%q is not ARCHITECTURE=BINARY", it)
		}
		if err := runsIn(binary, architecture); err != nil {
			return fmt.Errorf("%s: %w", binary, err)
		}
		image, err := pack(binary, architecture, created, labels)
		if err != nil {
			return fmt.Errorf("%s: %w", binary, err)
		}
		if err := tarball.WriteToFile(out+"-"+architecture+".docker.tar", tag, image); err != nil {
			return err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        image,
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: architecture}},
		})
	}
	return writeLayout(out+".oci.tar", tag, index)
}

// pack returns the image of one binary.
func pack(binary, architecture string, created time.Time, labels labels) (v1.Image, error) {
	layer, err := layerOf(binary, created)
	if err != nil {
		return nil, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err = mutate.Append(image, mutate.Addendum{
		Layer:   layer,
		History: v1.History{Created: v1.Time{Time: created}, CreatedBy: "callgate release/packer"},
	})
	if err != nil {
		return nil, err
	}
	return mutate.ConfigFile(image, &v1.ConfigFile{
		Architecture: architecture,
		OS:           "linux",
		Created:      v1.Time{Time: created},
		RootFS:       must(image.ConfigFile()).RootFS,
		History:      must(image.ConfigFile()).History,
		Config: v1.Config{
			User:       user,
			Env:        []string{"PATH=/bin"},
			Entrypoint: []string{"/bin/callgate"},
			Labels:     labels,
		},
	})
}

// must returns the value of a call that can fail only by a mistake in this program.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
