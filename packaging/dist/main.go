// dist makes the files of a release, for every architecture: archives, packages, bills of
// materials, one image, and the sums of all. `make dist` runs it.
//
// The files depend on the source, the commit and SOURCE_DATE_EPOCH alone
// (https://reproducible-builds.org/specs/source-date-epoch/): whoever builds the same
// commit elsewhere gets the same bytes.
package main

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// arch is a machine that a release is for, in the words of those who ask.
type arch struct {
	name    string // of Go, and in file names
	goarm   string // GOARM
	nfpm    string // what nfpm translates into the words of Debian, RPM and Alpine
	variant string // of the OCI image specification
}

var archs = []arch{
	{name: "amd64", nfpm: "amd64"},
	{name: "arm64", nfpm: "arm64"},
	{name: "arm", goarm: "7", nfpm: "arm7", variant: "v7"},
	{name: "riscv64", nfpm: "riscv64"},
}

// label names the architecture in file names: armv7, not arm.
func (a arch) label() string { return a.name + a.variant }

// release is one run.
type release struct {
	version, commit string
	at              time.Time // of all files; SOURCE_DATE_EPOCH
	out             string    // an absolute path
	work            string    // below out, removed at the end
}

func main() {
	var r release
	only := flag.String("arch", "", "only these `architectures` (amd64 arm64 armv7 riscv64)")
	flag.StringVar(&r.version, "version", "", "without a v; what cmd/swapinit says by default")
	flag.StringVar(&r.commit, "commit", "", "what git says by default")
	flag.StringVar(&r.out, "out", "dist", "`folder` for the files; what it had goes")
	flag.Parse()
	if err := r.run(strings.Fields(*only)); err != nil {
		fmt.Fprintln(os.Stderr, "dist:", err)
		os.Exit(1)
	}
}

func (r *release) run(only []string) error {
	chosen := archs
	if len(only) > 0 {
		chosen = slices.DeleteFunc(slices.Clone(archs), func(a arch) bool { return !slices.Contains(only, a.label()) })
		if len(chosen) != len(only) {
			return fmt.Errorf("-arch=%s: not all of these are known", strings.Join(only, " "))
		}
	}
	if err := r.identify(); err != nil {
		return err
	}
	fmt.Printf("swapinit %s, commit %s, %s\n", r.version, r.commit, r.at.Format(time.DateOnly))
	var err error
	if r.out, err = filepath.Abs(r.out); err != nil {
		return err
	}
	r.work = filepath.Join(r.out, "work")
	if err := os.RemoveAll(r.out); err != nil {
		return err
	}
	if err := os.MkdirAll(r.work, 0o755); err != nil {
		return err
	}
	// Without the paths of this machine, as a bill of materials has the tool's own sum in it.
	tools := []string{"build", "-C", "packaging/tools", "-trimpath", "-buildvcs=false", "-o", r.work + "/", nfpmTool, sbomTool}
	if err := r.command([]string{"CGO_ENABLED=0"}, "go", tools...); err != nil {
		return err
	}
	var images []image
	for _, a := range chosen {
		b, err := r.build(a)
		if err != nil {
			return fmt.Errorf("%s: %w", a.label(), err)
		}
		images = append(images, image{a, b.program()})
	}
	if err := r.writeImage(images); err != nil {
		return err
	}
	if err := os.RemoveAll(r.work); err != nil {
		return err
	}
	return r.sums()
}

// The tools are pinned in packaging/tools/go.mod.
const (
	nfpmTool = "github.com/goreleaser/nfpm/v2/cmd/nfpm"
	sbomTool = "github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod"
)

var (
	versionLine = regexp.MustCompile(`(?m)^\tversion += "(.+)"`)
	releaseLine = regexp.MustCompile(`(?m)^## \[([0-9][^]]*)\] - ([0-9]{4}-[0-9]{2}-[0-9]{2})$`)
)

// identify fills in what was not given.
func (r *release) identify() error {
	if r.version == "" {
		text, err := os.ReadFile("cmd/swapinit/main.go")
		if err != nil {
			return fmt.Errorf("this runs in the repository: %w", err)
		}
		found := versionLine.FindSubmatch(text)
		if found == nil {
			return fmt.Errorf("cmd/swapinit/main.go: no version; give -version")
		}
		r.version = string(found[1])
	}
	if r.commit == "" {
		r.commit = "unknown" // as in an archive of the source
		if out, err := exec.Command("git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty").Output(); err == nil {
			r.commit = strings.TrimSpace(string(out))
		}
	}
	if epoch := os.Getenv("SOURCE_DATE_EPOCH"); epoch != "" {
		seconds, err := strconv.ParseInt(epoch, 10, 64)
		if err != nil {
			return fmt.Errorf("SOURCE_DATE_EPOCH=%s: seconds since 1970 are accepted", epoch)
		}
		r.at = time.Unix(seconds, 0).UTC()
		return nil
	}
	text, err := os.ReadFile("CHANGELOG.md")
	if err != nil {
		return err
	}
	for _, found := range releaseLine.FindAllSubmatch(text, -1) {
		if string(found[1]) == r.version {
			r.at, err = time.Parse(time.DateOnly, string(found[2]))
			return err
		}
	}
	return fmt.Errorf("CHANGELOG.md has no release %s with a date; set SOURCE_DATE_EPOCH", r.version)
}

// command runs one, and shows what it says where it fails.
func (r *release) command(env []string, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Env = append(append(os.Environ(), "SOURCE_DATE_EPOCH="+strconv.FormatInt(r.at.Unix(), 10)), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

// file is the path of a file of the release: swapinit_0.9.0_linux_amd64.tar.gz.
func (r *release) file(a arch, suffix string) string {
	return filepath.Join(r.out, "swapinit_"+r.version+"_linux_"+a.label()+suffix)
}

// sums writes SHA256SUMS, which `sha256sum -c` reads.
func (r *release) sums() error {
	entries, err := os.ReadDir(r.out)
	if err != nil {
		return err
	}
	var list strings.Builder
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(r.out, e.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&list, "%x  %s\n", sha256.Sum256(text), e.Name())
		fmt.Printf("%8d KiB  %s\n", (len(text)+1023)/1024, filepath.Join(r.out, e.Name()))
	}
	return os.WriteFile(filepath.Join(r.out, "SHA256SUMS"), []byte(list.String()), 0o644)
}
