package main

import (
	"archive/tar"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// writeLayout writes an archive of an OCI image layout with the index, which carries the tag.
func writeLayout(file string, tag name.Tag, index v1.ImageIndex) error {
	folder, err := os.MkdirTemp(filepath.Dir(file), ".layout-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	path, err := layout.Write(folder, empty.Index)
	if err != nil {
		return err
	}
	err = path.AppendIndex(index, layout.WithAnnotations(map[string]string{
		"io.containerd.image.name":          tag.Name(),
		"org.opencontainers.image.ref.name": tag.TagStr(),
	}))
	if err != nil {
		return err
	}
	archive, err := os.Create(file)
	if err != nil {
		return err
	}
	defer archive.Close()
	writer := tar.NewWriter(archive)
	if err := add(writer, folder); err != nil {
		return err
	}
	if err := writer.Close(); err != nil {
		return err
	}
	return archive.Close()
}

// add writes every file below the folder, in the order of their names, without owner and time.
func add(writer *tar.Writer, folder string) error {
	return filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		relative, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		header := tar.Header{Name: filepath.ToSlash(relative), Mode: 0o644, Size: info.Size()}
		if err := writer.WriteHeader(&header); err != nil {
			return err
		}
		content, err := os.Open(path)
		if err != nil {
			return err
		}
		defer content.Close()
		_, err = io.Copy(writer, content)
		return err
	})
}

// readLayout unpacks an archive that writeLayout wrote into a folder, and returns the index in it.
func readLayout(file, folder string) (v1.ImageIndex, error) {
	if err := unpack(file, folder); err != nil {
		return nil, err
	}
	outer, err := layout.ImageIndexFromPath(folder)
	if err != nil {
		return nil, err
	}
	manifest, err := outer.IndexManifest()
	if err != nil {
		return nil, err
	}
	if len(manifest.Manifests) != 1 {
		return nil, errors.New("is not an archive of one image")
	}
	return outer.ImageIndex(manifest.Manifests[0].Digest)
}

func unpack(file, folder string) error {
	content, err := os.Open(file)
	if err != nil {
		return err
	}
	defer content.Close()
	// Names that lead out of the folder are errors.
	root, err := os.OpenRoot(folder)
	if err != nil {
		return err
	}
	defer root.Close()
	for reader := tar.NewReader(content); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := root.MkdirAll(filepath.Dir(header.Name), 0o755); err != nil {
			return err
		}
		target, err := root.Create(header.Name)
		if err != nil {
			return err
		}
		if _, err := io.Copy(target, reader); err != nil {
			return errors.Join(err, target.Close())
		}
		if err := target.Close(); err != nil {
			return err
		}
	}
}
