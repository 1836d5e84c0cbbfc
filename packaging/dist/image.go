package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// image is the one file of the image, for one architecture.
type image struct {
	arch
	program string // its path
}

// Media types of the OCI image specification 1.1
// (https://github.com/opencontainers/image-spec/blob/v1.1.0/media-types.md).
const (
	typeIndex    = "application/vnd.oci.image.index.v1+json"
	typeManifest = "application/vnd.oci.image.manifest.v1+json"
	typeConfig   = "application/vnd.oci.image.config.v1+json"
	typeLayer    = "application/vnd.oci.image.layer.v1.tar+gzip"
)

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int               `json:"size"`
	Platform    *platform         `json:"platform,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type platform struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
	Variant      string `json:"variant,omitempty"`
}

// layout is an archive with an OCI image layout, and in it the manifest.json that
// `docker load` knew before it knew OCI (Docker 25).
type layout struct {
	release *release
	tar     *tar.Writer
	err     error // the first
}

func (l *layout) file(name string, text []byte) {
	if l.err == nil {
		l.err = l.release.add(l.tar, name, text, 0o644)
	}
}

// blob adds one and says where it is.
func (l *layout) blob(mediaType string, text []byte) descriptor {
	sum := fmt.Sprintf("%x", sha256.Sum256(text))
	l.file("blobs/sha256/"+sum, text)
	return descriptor{MediaType: mediaType, Digest: "sha256:" + sum, Size: len(text)}
}

func (l *layout) json(value any) []byte {
	text, err := json.Marshal(value)
	if err != nil && l.err == nil {
		l.err = err
	}
	return text
}

// blobPath is where manifest.json expects a blob.
func (d descriptor) blobPath() string { return "blobs/sha256/" + d.Digest[len("sha256:"):] }

// writeImage writes one image for all architectures. Its only file is /swapinit: it
// serves `COPY --from`, and is the gate when it is run.
func (r *release) writeImage(images []image) error {
	var data bytes.Buffer
	l := &layout{release: r, tar: tar.NewWriter(&data)}
	l.file("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`))
	var manifests []descriptor
	var old []map[string]any // manifest.json: one image a name
	for _, i := range images {
		text, err := os.ReadFile(i.program)
		if err != nil {
			return err
		}
		plain, packed, err := r.layer(text)
		if err != nil {
			return err
		}
		layer := l.blob(typeLayer, packed)
		config := map[string]any{
			"created": r.at.Format(time.RFC3339), "architecture": i.name, "os": "linux",
			"config": map[string]any{
				"Entrypoint": []string{"/swapinit", "gate"}, "StopSignal": "SIGTERM",
				"Labels": map[string]string{
					"org.opencontainers.image.version":  r.version,
					"org.opencontainers.image.revision": r.commit,
					"org.opencontainers.image.licenses": "Apache-2.0",
					"org.opencontainers.image.source":   "https://github.com/swapinit/swapinit",
				},
			},
			"rootfs": map[string]any{"type": "layers", "diff_ids": []string{fmt.Sprintf("sha256:%x", sha256.Sum256(plain))}},
		}
		if i.variant != "" {
			config["variant"] = i.variant
		}
		c := l.blob(typeConfig, l.json(config))
		m := l.blob(typeManifest, l.json(map[string]any{
			"schemaVersion": 2, "mediaType": typeManifest, "config": c, "layers": []descriptor{layer},
		}))
		m.Platform = &platform{i.name, "linux", i.variant}
		manifests = append(manifests, m)
		old = append(old, map[string]any{
			"Config": c.blobPath(), "RepoTags": []string{"swapinit:" + r.version + "-" + i.label()}, "Layers": []string{layer.blobPath()},
		})
	}
	index := l.blob(typeIndex, l.json(map[string]any{"schemaVersion": 2, "mediaType": typeIndex, "manifests": manifests}))
	index.Annotations = map[string]string{
		"org.opencontainers.image.ref.name": r.version,
		"io.containerd.image.name":          "docker.io/library/swapinit:" + r.version,
	}
	l.file("index.json", l.json(map[string]any{"schemaVersion": 2, "mediaType": typeIndex, "manifests": []descriptor{index}}))
	l.file("manifest.json", l.json(old))
	if l.err != nil {
		return l.err
	}
	if err := l.tar.Close(); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(r.out, "swapinit_"+r.version+"_image.tar"), data.Bytes(), 0o644)
}

// layer is the archive of one file, plain and compressed.
func (r *release) layer(program []byte) (plain, packed []byte, err error) {
	var p bytes.Buffer
	t := tar.NewWriter(&p)
	if err := r.add(t, "swapinit", program, 0o755); err != nil {
		return nil, nil, err
	}
	if err := t.Close(); err != nil {
		return nil, nil, err
	}
	packed, err = pack(p.Bytes())
	return p.Bytes(), packed, err
}
