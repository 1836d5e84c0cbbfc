package spawn

import (
	"cmp"
	"strconv"
	"strings"
	"syscall"

	"github.com/swapinit/swapinit/internal/text"
)

// defaultPath stands in for a PATH that is not set, as in Docker's images.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// LookPath finds file as execvp(3) would after a chdir to dir ("" = where we
// are). pathVar is the value of the child's PATH, "" when it has none.
//
// The result always contains a slash and is what Spec.Path wants: a relative
// one (file had a slash, or an element of PATH is relative or empty) is
// relative to dir. The error is an *Error of stage "lookup".
//
// As in a shell, an unsuitable candidate (a directory, a file that is not
// executable) does not end the search, but is what is reported if nothing
// better comes. "Executable" is judged with our own rights; if the child has a
// user of its own, the kernel judges again.
func LookPath(file, pathVar, dir string) (string, error) {
	if file == "" {
		return "", failed(stageLookup, file, errNameless)
	}
	if strings.Contains(file, "/") {
		if err := executable(beneath(dir, file)); err != nil {
			return "", failed(stageLookup, file, err)
		}
		return file, nil
	}
	if pathVar == "" {
		pathVar = defaultPath
	}
	var unsuitable *Error
	for _, element := range strings.Split(pathVar, ":") {
		if element == "" {
			element = "."
		}
		candidate := element + "/" + file
		switch err := executable(beneath(dir, candidate)); errno(err) {
		case 0:
			return candidate, nil
		case syscall.ENOENT, syscall.ENOTDIR, syscall.ESTALE, syscall.ENODEV, syscall.ETIMEDOUT:
			// execvp passes over these in silence: the element of PATH is not
			// there, or is a mount whose server does not answer.
		default:
			unsuitable = cmp.Or(unsuitable, failed(stageLookup, candidate, err))
		}
	}
	if unsuitable == nil {
		unsuitable = failed(stageLookup, file, hint(syscall.ENOENT, " in PATH "+strconv.Quote(pathVar)))
	}
	return "", unsuitable
}

var errNameless = text.Errorf("its name is empty: %w", syscall.ENOENT)

// executable returns nil or a bare errno.
func executable(path string) error {
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		return err
	}
	switch st.Mode & syscall.S_IFMT {
	case syscall.S_IFREG:
		return syscall.Access(path, 1) // X_OK; also refuses what is on a noexec mount
	case syscall.S_IFDIR:
		return syscall.EISDIR // execve would say EACCES, which sends people to chmod
	}
	return syscall.EACCES
}

// beneath is path as seen from dir.
func beneath(dir, path string) string {
	if dir == "" || strings.HasPrefix(path, "/") {
		return path
	}
	// No filepath.Join: it would clean "link/.." away without following link.
	return strings.TrimSuffix(dir, "/") + "/" + path
}
