package kernels

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// apt is an apt of our own, which knows one release of Debian and one architecture, with its
// lists and packages in one folder. The machine's own is not touched.
type apt struct {
	options []string
	arch    string
}

// newApt asks for the newest lists. They come from where this machine's own apt gets
// Debian from, so that a mirror that is configured here is used.
func newApt(dir, suite, arch string) (*apt, error) {
	site, err := mirror()
	if err != nil {
		return nil, err
	}
	options := "arch=" + arch + " target=Packages"
	if _, err := os.Stat(keyring); err == nil {
		options += " signed-by=" + keyring
	}
	list := filepath.Join(dir, "sources.list")
	if err := os.WriteFile(list, fmt.Appendf(nil, "deb [%s] %s %s main\n", options, site, suite), 0o644); err != nil {
		return nil, err
	}
	a := &apt{arch: arch, options: []string{
		"-o", "Dir::Etc::sourcelist=" + list, "-o", "Dir::Etc::sourceparts=/dev/null",
		"-o", "Dir::State=" + dir + "/state", "-o", "Dir::Cache=" + dir + "/cache",
		"-o", "APT::Architecture=" + arch, "-o", "APT::Architectures=" + arch, "-o", "APT::Sandbox::User=root",
		"-o", "Acquire::Languages=none", "-o", "Acquire::Retries=5",
		// An old release is not signed anew.
		"-o", "Acquire::Check-Valid-Until=false",
	}}
	_, err = a.run("", "apt-get", "-qq", "update")
	return a, err
}

// keyring has the keys of all releases. Without it they are where apt looks by itself.
const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

// mirror is where Debian's main archive is.
func mirror() (string, error) {
	out, err := exec.Command("apt-get", "indextargets", "--format", "$(SITE)|$(ORIGIN)|$(LABEL)", "Created-By: Packages").Output()
	for line := range strings.Lines(string(out)) {
		if f := strings.Split(strings.TrimSpace(line), "|"); len(f) == 3 && f[1] == "Debian" && f[2] == "Debian" {
			return f[0], nil
		}
	}
	return "", fmt.Errorf("kernels are got by apt, and this machine's has no source of Debian's main archive, or no lists yet: apt-get update (%v)", err)
}

// run runs a program of apt's in a folder.
func (a *apt) run(dir, program string, args ...string) (string, error) {
	c := exec.Command(program, append(a.options, args...)...)
	c.Dir = dir
	out, err := c.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", program, strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

var exact = regexp.MustCompile(`(linux-image-[^ ]+) \(= ([^)]+)\)`)

// dependency is the package of a kernel that pkg, which has none itself, depends on.
func (a *apt) dependency(pkg string) (name, version string, err error) {
	out, err := a.run("", "apt-cache", "show", "--no-all-versions", pkg)
	if err != nil {
		return "", "", err
	}
	m := exact.FindStringSubmatch(field(out, "Depends"))
	if m == nil {
		return "", "", fmt.Errorf("%s does not depend on a kernel: %q", pkg, field(out, "Depends"))
	}
	return m[1], m[2], nil
}

func (a *apt) download(dir string, names ...string) error {
	_, err := a.run(dir, "apt-get", append([]string{"-qq", "download"}, names...)...)
	return err
}
