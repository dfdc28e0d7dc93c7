package main

import (
	"fmt"
	"io"
	"os"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// credentials are those in the environment, or else those of `docker login`.
func credentials() remote.Option {
	if user := os.Getenv("REGISTRY_USER"); user != "" {
		return remote.WithAuth(&authn.Basic{Username: user, Password: os.Getenv("REGISTRY_PASSWORD")})
	}
	return remote.WithAuthFromKeychain(authn.DefaultKeychain)
}

// pushTo sends the image in an archive to a registry, with all its platforms, and prints its NAME@DIGEST to out.
func pushTo(reference, file string, out io.Writer) error {
	tag, err := name.NewTag(reference, name.StrictValidation)
	if err != nil {
		return fmt.Errorf("%q is not REGISTRY/NAME:TAG: %w", reference, err)
	}
	folder, err := os.MkdirTemp("", "callgate-push-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	index, err := readLayout(file, folder)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if err := remote.WriteIndex(tag, index, credentials()); err != nil {
		return err
	}
	digest, err := index.Digest()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, tag.Context().Digest(digest.String()))
	return err
}
