//go:build linux

package e2e

import (
	"crypto/sha256"
	"fmt"
	release "github.com/swapinit/swapinit/test/build"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// dockerBinaries builds the product, as released, and the fixture, both
// static, into a directory that stays: the next run finds its build there.
var dockerBinaries = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("swapinit-docker-tests-%d", os.Getuid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	unlock, err := dockerLock(dir)
	if err != nil {
		return "", err
	}
	defer unlock()
	if err := release.Swapinit(filepath.Join(dir, "swapinit")); err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid=", "-o", filepath.Join(dir, "fixture"), "./test/e2e/docker/fixture")
	cmd.Dir = release.Root()
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot build the fixture: %w\n%s", err, out)
	}
	return dir, nil
})

// dockerLock keeps two test processes from building the same thing at once.
func dockerLock(dir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}

// dockerOnce remembers what was made for a name in this process.
type dockerOnce struct {
	mu   sync.Mutex
	made map[string]func() (string, error)
}

func (o *dockerOnce) get(name string, make func() (string, error)) (string, error) {
	o.mu.Lock()
	if o.made == nil {
		o.made = map[string]func() (string, error){}
	}
	if o.made[name] == nil {
		o.made[name] = sync.OnceValues(make)
	}
	f := o.made[name]
	o.mu.Unlock()
	return f()
}

var dockerBases, dockerImages dockerOnce

// dockerBase returns a stand-in of docker/fixtures: base, servers or golang.
func dockerBase(t *testing.T, name string) string {
	t.Helper()
	dockerNeed(t)
	image, err := dockerBases.get(name, func() (string, error) {
		var stderr strings.Builder
		cmd := exec.Command("docker/fixtures", name)
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			return "", fmt.Errorf("docker/fixtures %s: %w: %s", name, err, stderr.String())
		}
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		return lines[len(lines)-1], nil
	})
	if err != nil {
		dockerSkip(t, err)
	}
	return image
}

// dockerImage builds docker/images/NAME with the product in it. The tag is a
// hash of all that goes into it.
func dockerImage(t *testing.T, name string) string {
	t.Helper()
	dockerNeed(t)
	base := ""
	switch name {
	case "debian":
		base = dockerBase(t, "base")
	case "nginx", "nginx-stock", "gunicorn", "node":
		base = dockerBase(t, "servers")
	}
	binaries, err := dockerBinaries()
	if err != nil {
		t.Fatal(err)
	}
	image, err := dockerImages.get(name, func() (string, error) { return dockerBuild(name, base, binaries) })
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func dockerBuild(name, base, binaries string) (string, error) {
	dir, err := os.MkdirTemp("", "swapinit-image-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("docker", "images", name))); err != nil {
		return "", err
	}
	for _, binary := range []string{"swapinit", "fixture"} {
		data, err := os.ReadFile(filepath.Join(binaries, binary))
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(dir, binary), data, 0o755); err != nil {
			return "", err
		}
	}
	sum, err := dockerHash(dir, base)
	if err != nil {
		return "", err
	}
	image := "swapinit-test/" + name + ":" + sum
	if exec.Command("docker", "image", "inspect", image).Run() == nil {
		return image, nil
	}
	args := []string{"build", "-q", "-t", image}
	if base != "" {
		args = append(args, "--build-arg", "BASE="+base)
	}
	if out, err := exec.Command("docker", append(args, dir)...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("docker build %s: %w\n%s", name, err, out)
	}
	// Images of earlier binaries are of no use to anybody.
	exec.Command("docker", "image", "prune", "-a", "-f", "--filter", "label=swapinit.test.kind=app", "--filter", "until=6h").Run()
	return image, nil
}

// dockerHash is of the names, modes and contents in dir, and of seed.
func dockerHash(dir, seed string) (string, error) {
	h := sha256.New()
	io.WriteString(h, seed)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		fmt.Fprintf(h, "\x00%s\x00%o\x00%d\x00", path[len(dir):], info.Mode().Perm(), len(data))
		h.Write(data)
		return nil
	})
	return fmt.Sprintf("%x", h.Sum(nil))[:16], err
}
